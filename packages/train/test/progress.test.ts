import {
  formatCount,
  formatDuration,
  formatLoss,
  formatRate,
  JsonlLog,
  ProgressLine,
  type TrainingProgress,
} from '@mamba-ts/train';
import { describe, expect, test } from 'vitest';

function progress(step: number, more: Partial<TrainingProgress> = {}): TrainingProgress {
  return { step, steps: 1000, loss: 2.34567, gradientNorm: 1, tokensPerSecond: 12_345, secondsLeft: 75, ...more };
}

function recorder(
  isTTY: boolean,
  columns?: number,
): { written: string[]; stream: { write(text: string): void; isTTY: boolean; columns?: number } } {
  const written: string[] = [];
  return {
    written,
    stream: { write: (text) => void written.push(text), isTTY, ...(columns === undefined ? {} : { columns }) },
  };
}

describe('progress line', () => {
  test('a terminal sees one line that overwrites itself and fits', () => {
    const { written, stream } = recorder(true, 70);
    const line = new ProgressLine(stream, { label: '  ', interval: 0 });
    for (const step of [1, 500, 1000]) line.update(progress(step));
    line.clear();
    expect(written).toHaveLength(4);
    for (const text of written) {
      expect(text.startsWith('\r')).toBe(true);
      expect(text).not.toContain('\n');
    }
    for (const text of written) expect(text.replace('\r', '').replace('\u001b[K', '').length).toBeLessThan(70);
    expect(written[1]).toContain('████████░░░░░░░░ step   500/1,000  loss 2.346');
    expect(written[3]).toBe('\r\u001b[K');
  });

  test('a terminal is not written to more often than asked', () => {
    const { written, stream } = recorder(true);
    const line = new ProgressLine(stream, { label: '', interval: 10_000 });
    for (let step = 1; step <= 1000; step++) line.update(progress(step));
    expect(written).toHaveLength(2);
  });

  test('a log gets a few whole lines, without control characters', () => {
    const { written, stream } = recorder(false);
    const line = new ProgressLine(stream, { label: 'a: ', lines: 4 });
    for (let step = 1; step <= 1000; step++) line.update(progress(step));
    line.clear();
    expect(written).toEqual([
      'a: step   250/1,000  loss 2.346  12,300 tokens/s  1 min 15 s left\n',
      'a: step   500/1,000  loss 2.346  12,300 tokens/s  1 min 15 s left\n',
      'a: step   750/1,000  loss 2.346  12,300 tokens/s  1 min 15 s left\n',
      'a: step 1,000/1,000  loss 2.346  12,300 tokens/s  done\n',
    ]);
  });

  test('a validation at the last step does not print it twice', () => {
    const { written, stream } = recorder(false);
    const line = new ProgressLine(stream, { label: '', lines: 1 });
    line.update(progress(1000));
    line.update(progress(1000, { validation: { step: 1000, loss: 1, accuracy: 1, rowAccuracy: 1, scored: 1 } }));
    expect(written).toHaveLength(1);
  });
});

test('numbers as people read them', () => {
  expect([0.4, 59.4, 60, 3599, 3600, 7500, NaN].map(formatDuration)).toEqual([
    '0 s',
    '59 s',
    '1 min 0 s',
    '59 min 59 s',
    '1 h 0 min',
    '2 h 5 min',
    '…',
  ]);
  expect([7, 950.4, 12_345, 1_254_321, NaN].map(formatRate)).toEqual(['7', '950', '12,300', '1,250,000', '…']);
  expect([0, 999, 1000, 16_384, 1_000_000].map(formatCount)).toEqual(['0', '999', '1,000', '16,384', '1,000,000']);
  expect([2.34567, 0.1, 0.0123, 0.00012, NaN].map(formatLoss)).toEqual(['2.346', '0.100', '0.0123', '0.00012', 'NaN']);
});

test('the log is one JSON object a line', () => {
  const lines: string[] = [];
  const log = new JsonlLog((line) => lines.push(line));
  log.event('start', { seed: 1 });
  const listen = log.progress('mamba + s6');
  listen(progress(3, { loss: NaN }));
  listen(progress(3, { validation: { step: 3, loss: 0.5, accuracy: 0.75, rowAccuracy: 0.5, scored: 8 } }));
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.every((line) => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)).toBe(true);
  expect(events[0]).toMatchObject({ event: 'start', seed: 1 });
  expect(events[1]).toMatchObject({ event: 'step', run: 'mamba + s6', step: 3, loss: null, tokensPerSecond: 12_345 });
  expect(events[2]).toMatchObject({ event: 'validation', run: 'mamba + s6', accuracy: 0.75 });
});

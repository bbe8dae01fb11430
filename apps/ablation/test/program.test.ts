import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { runProgram } from '../src/program';
import type { StudyReport } from '../src/report/study-report';
import { schemaProblems } from './json-schema';
import { tinyStudy } from './tiny-study';

const folder = mkdtempSync(join(tmpdir(), 'mamba-ablation-'));
afterAll(() => rmSync(folder, { recursive: true }));
const schema = JSON.parse(
  readFileSync(fileURLToPath(new URL('../report.schema.json', import.meta.url)), 'utf8'),
) as Record<string, unknown>;

const text = fileURLToPath(new URL('tiny.txt', import.meta.url));
const config = join(folder, 'tiny.json');
const withText = {
  ...tinyStudy,
  parts: [tinyStudy.parts[0], { ...tinyStudy.parts[1], task: { ...tinyStudy.parts[1].task, file: text } }],
};
writeFileSync(config, JSON.stringify(withText));

interface Outcome {
  code: number;
  out: string;
  err: string;
}

interface RunOptions {
  signal?: AbortSignal;
  /** Sees everything that is printed, as it comes. */
  watch?: (text: string) => void;
}

async function run(args: readonly string[], { signal, watch }: RunOptions = {}): Promise<Outcome> {
  let out = '';
  let err = '';
  const stdout = {
    write: (t: string) => {
      out += t;
      watch?.(t);
    },
  };
  const stderr = { write: (t: string) => void (err += t) };
  const code = await runProgram({
    args,
    stdout,
    stderr,
    env: {},
    folder,
    signal: signal ?? new AbortController().signal,
  });
  return { code, out, err };
}

const readReport = (name: string): StudyReport =>
  JSON.parse(readFileSync(join(folder, name, 'report.json'), 'utf8')) as StudyReport;

/** What must be the same in two runs: everything but times, and what they were run on. */
function numbers(report: StudyReport): unknown {
  return report.parts.map((p) => ({
    ...p,
    rows: p.rows.map((r) => ({
      ...r,
      seconds: 0,
      tokensPerSecond: 0,
      sample: r.sample && { ...r.sample, bytesPerSecond: 0 },
    })),
  }));
}

/** The printed tables and findings, which hold no times. */
function tables(out: string): string[] {
  return out.split('\n').filter((line) => /^ {2}(plain|mamba) \+ S.* {3}|^ {2}(bigram|gzip)|^ {2}S(4D|6) /.test(line));
}

describe('a study from start to report', () => {
  test('all rows, tables, sample, report', async () => {
    const { code, out, err } = await run(['--config', config, '--out', 'whole', '--threads', '1']);
    expect([code, err]).toEqual([0, '']);
    // eslint-disable-next-line no-control-regex -- a log must hold no escape sequences
    expect(out).not.toMatch(/[\u001b\r]/);
    for (const line of [
      '1/2  Copying',
      '2/2  Text',
      'Run 3 of 3: mamba + S6',
      'The paper  context 4,096',
      'guessing: 16.7 %',
      'bits per byte',
    ])
      expect(out).toContain(line);
    expect(out.trimEnd().split('\n').at(-1)).toBe(join('whole', 'report.html'));
    expect(readdirSync(join(folder, 'whole')).toSorted()).toEqual(['log.jsonl', 'report.html', 'report.json']);

    const report = readReport('whole');
    expect(schemaProblems(report, schema)).toEqual([]);
    expect(report.finished).toBe(true);
    const [copying, writing] = report.parts;
    expect(copying.rows.map((r) => [r.name, r.state, r.stepsDone, r.validation?.step, r.validation?.scored])).toEqual([
      ['plain + S4D', 'finished', 6, 6, 40],
      ['mamba + S6 (dState 4)', 'finished', 6, 6, 40],
    ]);
    expect(copying.rows[0].history.validations.map((v) => v.step)).toEqual([3, 6]);
    expect(copying.chance).toBeCloseTo(1 / 6, 12);
    expect(copying.finding).toMatch(/^S4D does not solve the task .* S6 does not solve the task/);
    const [row] = writing.rows;
    expect(row.bitsPerByte).toBeCloseTo((row.validation?.loss ?? 0) / Math.LN2, 9);
    expect(writing.baselines.map((b) => b.name)).toEqual(['bigram', 'gzip', 'gzip, primed']);
    expect(row.sample).toMatchObject({ prompt: 'the ', bytes: 12 });
    expect(out).toContain('    the ');

    const html = readFileSync(join(folder, 'whole', 'report.html'), 'utf8');
    for (const shown of ['plain + S4D', 'guessing', 'bigram', '"dModel": 8', 'seed'])
      expect(html.replaceAll('&quot;', '"')).toContain(shown);
    const log = readFileSync(join(folder, 'whole', 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as { event: string });
    expect([log[0].event, log.at(-1)?.event]).toEqual(['study', 'end']);
    expect(log.filter((l) => l.event === 'step')).toHaveLength(6 + 6 + 5);
  });

  test('the same seed gives the same numbers, on one thread and on two; another seed gives others', async () => {
    const again = await run(['--config', config, '--out', 'again', '--threads', '2']);
    const other = await run(['--config', config, '--out', 'other', '--threads', '1', '--seed', '2']);
    expect([again.code, other.code]).toEqual([0, 0]);
    expect(numbers(readReport('again'))).toEqual(numbers(readReport('whole')));
    expect(numbers(readReport('other'))).not.toEqual(numbers(readReport('whole')));
    const third = await run(['--config', config, '--out', 'third', '--threads', '2']);
    expect(tables(third.out)).toEqual(tables(again.out));
    expect(tables(third.out).length).toBeGreaterThan(5);
  });

  test('--steps, and the reference device: the same to rounding', async () => {
    const args = ['--config', config, '--steps', '2'];
    await run([...args, '--out', 'two-cpu', '--threads', '1']);
    const { code } = await run([...args, '--out', 'two-reference', '--device', 'reference']);
    expect(code).toBe(0);
    const [onCpu, onReference] = ['two-cpu', 'two-reference'].map((name) =>
      readReport(name).parts.flatMap((p) => p.rows),
    );
    expect(onReference.map((r) => r.stepsDone)).toEqual([2, 2, 2]);
    onCpu.forEach((row, i) =>
      row.history.loss.forEach((loss, s) => expect(loss).toBeCloseTo(onReference[i].history.loss[s], 4)),
    );
  });
});

describe('interruption', () => {
  test('the report is there after every row, whatever ends the program', async () => {
    const states: (string[] | null)[] = [];
    const watch = (t: string): void => {
      const file = join(folder, 'growing', 'report.json');
      if (t.includes('Run '))
        states.push(existsSync(file) ? readReport('growing').parts.flatMap((p) => p.rows.map((r) => r.state)) : null);
    };
    await run(['--config', config, '--out', 'growing', '--threads', '1'], { watch });
    expect(states).toEqual([null, ['finished', 'not run', 'not run'], ['finished', 'finished', 'not run']]);
  });

  test('in a row: that row as far as it came, the rows before it whole, those after it not run', async () => {
    const controller = new AbortController();
    const watch = (t: string): void => {
      if (t.includes('step   400/')) controller.abort();
    };
    const args = ['--config', config, '--steps', '2000', '--out', 'cut', '--threads', '1'];
    const { code, out } = await run(args, { signal: controller.signal, watch });
    expect(code).toBe(130);
    const report = readReport('cut');
    expect(schemaProblems(report, schema)).toEqual([]);
    expect(report.finished).toBe(false);
    const rows = report.parts.flatMap((p) => p.rows);
    expect(rows.map((r) => r.state)).toEqual(['interrupted', 'not run', 'not run']);
    expect(rows[0].stepsDone).toBeGreaterThanOrEqual(400);
    expect(rows[0].stepsDone).toBeLessThan(2000);
    expect(rows[0].history.loss).toHaveLength(rows[0].stepsDone);
    expect(report.parts.map((p) => p.finding)).toEqual([null, null]);
    expect(out).toContain('Interrupted after');
    expect(out.trimEnd().split('\n').at(-1)).toBe(join('cut', 'report.html'));
    expect(readFileSync(join(folder, 'cut', 'report.html'), 'utf8')).toContain(
      'This study is not complete: 0 of its 3 runs are done.',
    );
  });

  test('while it writes: the sample ends there', async () => {
    const controller = new AbortController();
    const long = { ...withText, parts: [{ ...withText.parts[1], sample: { prompt: 'the ', bytes: 100_000 } }] };
    writeFileSync(join(folder, 'long.json'), JSON.stringify(long));
    // Some lines of the sample, however long training and the first bytes take.
    let lines = -1;
    const watch = (t: string): void => {
      if (lines >= 0 || t.includes('What it writes')) lines++;
      if (lines === 5) controller.abort();
    };
    const { code } = await run(['--config', 'long.json', '--out', 'cut-sample', '--threads', '1'], {
      signal: controller.signal,
      watch,
    });
    expect(code).toBe(130);
    const [row] = readReport('cut-sample').parts[0].rows;
    expect(row.state).toBe('finished');
    expect(row.sample?.bytes).toBeGreaterThan(0);
    expect(row.sample?.bytes).toBeLessThan(100_000);
  });
});

describe('mistakes are told in a line or two', () => {
  test.each<[string[], string]>([
    [['--device', 'tpu'], '--device is "tpu", expected one of cpu, webgpu, cuda, reference'],
    [['--config', 'missing.mjs'], 'missing.mjs does not exist'],
    [['--config', config, '--out', 'whole'], 'holds the report of another run; name a new folder'],
    [['--config', config, '--out', 'tiny.json'], '--out: '],
  ])('%j', async (args, message) => {
    const { code, out, err } = await run(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(message);
    expect(err).toContain('--help');
    expect(err).not.toContain('    at ');
  });

  test('nothing is left behind by a mistake', async () => {
    await run(['--config', config, '--out', 'never', '--device', 'tpu']);
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });

  test('--help', async () => {
    expect(await run(['--help'])).toMatchObject({
      code: 0,
      err: '',
      out: expect.stringContaining('npm start -- [options]') as string,
    });
  });

  test('a row that diverges is reported, and the study goes on', async () => {
    const wild = structuredClone(withText) as unknown as { parts: { rows: { training?: object }[] }[] };
    wild.parts[0].rows[0].training = {
      learningRate: 9,
      clipNorm: null,
      warmup: 0,
      schedule: 'constant',
      steps: 3000,
      weightDecay: 1e30,
    };
    writeFileSync(join(folder, 'wild.json'), JSON.stringify(wild));
    const { code } = await run(['--config', 'wild.json', '--out', 'wild', '--threads', '1']);
    expect(code).toBe(0);
    const report = readReport('wild');
    expect(schemaProblems(report, schema)).toEqual([]);
    expect(report.parts[0].rows.map((r) => r.state)).toEqual(['diverged', 'finished']);
    expect(report.parts[0].rows[0].error).toMatch(/the loss is (NaN|Infinity|-Infinity) at step \d+/);
    expect(report.parts[0].finding).toContain('diverged');
  });
});

import { gunzipSync, gzipSync } from 'node:zlib';
import {
  BigramModel,
  bitsPerByte,
  gzipBitsPerByte,
  ignoreIndex,
  primedGzipBitsPerByte,
  sequenceAccuracy,
  TextWindows,
  tokenAccuracy,
} from '@mamba-ts/tasks';
import { describe, expect, test } from 'vitest';

const text = new TextEncoder().encode('the quick brown fox jumps over the lazy dog. '.repeat(40));

describe('text windows', () => {
  test('training windows: targets are the inputs one byte later, from the training part', () => {
    const task = new TextWindows({ bytes: text, length: 16, seed: 1 });
    const { inputs, targets } = task.trainBatch(5, 32);
    const part = Buffer.from(task.trainPart);
    for (let r = 0; r < 32; r++) {
      const row = Buffer.from(inputs.slice(r * 16, (r + 1) * 16));
      const next = Buffer.from(targets.slice(r * 16, (r + 1) * 16));
      expect(row.subarray(1)).toEqual(next.subarray(0, 15));
      expect(part.includes(Buffer.concat([row, next.subarray(15)]))).toBe(true);
    }
    expect(task.trainBatch(5, 32)).toEqual(new TextWindows({ bytes: text, length: 16, seed: 1 }).trainBatch(5, 32));
  });

  test('windows reach both ends of the training part', () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    const { inputs, targets } = new TextWindows({ bytes, length: 4, validationFraction: 0.1 }).trainBatch(0, 3000);
    expect(Math.min(...inputs)).toBe(0);
    expect(Math.max(...targets)).toBe(89);
  });

  test.each([1, 3, 16, 500])('validation predicts every held-out byte but the first once (length %i)', (length) => {
    const task = new TextWindows({ bytes: text, length, validationFraction: 0.2 });
    const held = task.validationPart;
    const predicted: number[] = [];
    for (const { inputs, targets, batch } of task.validationBatches(4)) {
      expect(inputs).toHaveLength(batch * length);
      for (let i = 0; i < targets.length; i++) {
        if (targets[i] === ignoreIndex) continue;
        expect(inputs[i]).toBe(held[predicted.length]);
        predicted.push(targets[i]);
      }
    }
    expect(predicted).toEqual([...held.subarray(1)]);
  });

  test('validationBytes scores a prefix of the held-out part', () => {
    const task = new TextWindows({ bytes: text, length: 8, validationBytes: 50 });
    expect(task.validationPart).toEqual(text.subarray(task.trainPart.length, task.trainPart.length + 50));
  });

  test('arguments are refused by name', () => {
    expect(() => new TextWindows({ bytes: text.subarray(0, 10), length: 16 })).toThrow(
      'TextWindows: bytes has 10 elements',
    );
    expect(() => new TextWindows({ bytes: text, length: 16, validationFraction: 1 })).toThrow(
      'validationFraction is 1',
    );
    expect(() => new TextWindows({ bytes: text, length: 16, validationBytes: 1 })).toThrow('validationBytes is 1');
  });
});

describe('baselines', () => {
  test('bigram: add-one smoothing, by hand', () => {
    const model = new BigramModel(new TextEncoder().encode('aab'));
    const [a, b] = [97, 98];
    expect(model.probability(a, a)).toBe(2 / 258);
    expect(model.probability(a, b)).toBe(2 / 258);
    expect(model.probability(b, a)).toBe(1 / 256);
    expect(model.bitsPerByte(Uint8Array.of(a, b, a))).toBeCloseTo((Math.log2(129) + 8) / 2, 12);
    let total = 0;
    for (let next = 0; next < 256; next++) total += model.probability(a, next);
    expect(total).toBeCloseTo(1, 12);
  });

  test('gzip: eight bits per compressed byte; knowing the training text helps', () => {
    expect(gunzipSync(gzipSync(text))).toHaveLength(text.length);
    expect(gzipBitsPerByte(text)).toBe((8 * gzipSync(text, { level: 9 }).length) / text.length);
    expect(primedGzipBitsPerByte(text.subarray(0, 100), text)).toBeLessThan(gzipBitsPerByte(text.subarray(0, 100)) / 2);
  });

  test('empty texts are refused', () => {
    expect(() => gzipBitsPerByte(new Uint8Array(0))).toThrow('text is empty');
    expect(() => new BigramModel(text).bitsPerByte(text.subarray(0, 1))).toThrow('text has 1 bytes');
  });
});

describe('metrics', () => {
  const targets = [ignoreIndex, 1, 2, ignoreIndex, 3, 4, ignoreIndex, ignoreIndex, ignoreIndex];

  test('token accuracy counts scored positions only', () => {
    expect(tokenAccuracy([0, 1, 9, 0, 3, 4, 0, 0, 0], targets)).toEqual({ correct: 3, scored: 4, accuracy: 0.75 });
    expect(tokenAccuracy([0], [ignoreIndex]).accuracy).toBeNaN();
    expect(() => tokenAccuracy([0], targets)).toThrow('predictions has 1 elements, expected 9');
  });

  test('sequence accuracy: a row counts when all of it is right', () => {
    expect(sequenceAccuracy([0, 1, 9, 0, 3, 4, 0, 0, 0], targets, 3)).toEqual({ correct: 1, scored: 2, accuracy: 0.5 });
  });

  test('bits per byte', () => {
    expect(bitsPerByte(Math.log(256))).toBeCloseTo(8, 12);
  });
});

import { MuLaw, muLawSilence, scaleClip, TokenizerError } from '@mamba-ts/tokenizers';
import { expect, it } from 'vitest';

const muLaw = new MuLaw();

it('encodes and decodes as the published code', () => {
  const x = [-1, -0.5, -0.1, -0.01, -0.001, 0, 0.001, 0.01, 0.1, 0.5, 0.9, 1];
  expect(Array.from(muLaw.encode(x))).toEqual([0, 15, 52, 98, 122, 128, 133, 157, 203, 240, 253, 255]);
  expect(muLaw.level(255)).toBeCloseTo(0.9574370190542544, 14);
  expect(Array.from(muLaw.decode([muLawSilence, 0]))).toEqual([0, -1]);
});

it('gives all 256 ids in ascending order, and a level that is within one step of the sample', () => {
  const x = Float64Array.from({ length: 20001 }, (_, i) => i / 10000 - 1);
  const ids = muLaw.encode(x);
  expect(new Set(ids).size).toBe(256);
  for (let i = 1; i < ids.length; i++) expect(ids[i]).toBeGreaterThanOrEqual(ids[i - 1]!);
  for (const [i, id] of ids.entries()) {
    const [low, high] = [muLaw.level(Math.max(0, id - 1)), id >= 254 ? 1 : muLaw.level(id + 2)];
    expect(x[i]! >= low && x[i]! <= high, `${x[i]} is ${id}`).toBe(true);
  }
});

it('scales a clip to its own extremes, silence too', () => {
  expect(Array.from(scaleClip([0.2, -0.1, -0.4, 0.3]), (v) => Math.round(v * 1000) / 1000)).toEqual([0.714, -0.143, -1, 1]);
  expect(Array.from(scaleClip([0.5, 0.5]))).toEqual([-1, -1]);
  expect(scaleClip([])).toHaveLength(0);
});

it('refuses samples outside [-1, 1] and ids outside the table', () => {
  expect(() => muLaw.encode([0, 1.5])).toThrow('sample 1 is 1.5, expected a number from -1 to 1');
  expect(() => muLaw.encode([Number.NaN])).toThrow(TokenizerError);
  expect(() => muLaw.decode([256])).toThrow(TokenizerError);
  expect(() => muLaw.level(-1)).toThrow(TokenizerError);
});

import { OutOfRangeError, RandomGenerator, reference } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { checkSampling, sampleToken, type SamplingOptions, topLogprobs } from '../src/index';
import { uniform } from '../src/generation/threefry';

const none: ReadonlySet<number> = new Set();

/** A small generator of numbers in [0, 1). */
function seededRandom(seed: number): () => number {
  let draw = 0;
  return () => uniform(seed, draw++);
}

/** Probabilities 0.1, 0.5, 0.15, 0.05, 0.2. */
const logits = [0.1, 0.5, 0.15, 0.05, 0.2].map((p) => Math.log(p) + 3);

/** What is drawn, and how often, over an even grid of random numbers. */
function shares(options: SamplingOptions, seen = none): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let i = 0; i < 1000; i++) {
    const { token } = sampleToken(logits, options, seen, (i + 0.5) / 1000);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  return counts;
}

describe('sampleToken', () => {
  it('is greedy by default and at temperature 0; of equals, the smaller id', () => {
    expect(sampleToken(logits, {}, none, 0.99).token).toBe(1);
    expect(sampleToken(logits, { temperature: 0, topK: 3 }, none, 0.99).token).toBe(1);
    expect(sampleToken([1, 5, 5, 2], {}, none, 0.3).token).toBe(1);
  });

  it('gives ln p of the model, whatever the options do', () => {
    expect(sampleToken(logits, {}, none, 0).logprob).toBeCloseTo(Math.log(0.5), 12);
    const chosen = sampleToken(logits, { temperature: 5, repetitionPenalty: 2, topK: 4 }, new Set([1, 4]), 0.9);
    expect(chosen.logprob).toBeCloseTo(Math.log([0.1, 0.5, 0.15, 0.05, 0.2][chosen.token]), 12);
  });

  it('draws in proportion to the probabilities', () => {
    expect(shares({ temperature: 1 })).toEqual({ 0: 100, 1: 500, 2: 150, 3: 50, 4: 200 });
  });

  it('divides by the temperature', () => {
    // p² / Σ p²
    const squares = [0.01, 0.25, 0.0225, 0.0025, 0.04];
    const total = squares.reduce((a, b) => a + b);
    for (const [token, count] of Object.entries(shares({ temperature: 0.5 })))
      expect(Math.abs(count / 1000 - squares[Number(token)] / total)).toBeLessThan(0.002);
    expect(shares({ temperature: 0.01 })).toEqual({ 1: 1000 });
  });

  it('keeps the topK likeliest', () => {
    expect(Object.keys(shares({ temperature: 1, topK: 2 }))).toEqual(['1', '4']);
    expect(shares({ temperature: 1, topK: 1 })).toEqual({ 1: 1000 });
    expect(shares({ temperature: 1, topK: 99 })).toEqual(shares({ temperature: 1 }));
  });

  it('keeps the smallest nucleus that reaches topP', () => {
    expect(Object.keys(shares({ temperature: 1, topP: 0.45 }))).toEqual(['1']);
    expect(Object.keys(shares({ temperature: 1, topP: 0.69 }))).toEqual(['1', '4']);
    expect(Object.keys(shares({ temperature: 1, topP: 0.71 }))).toEqual(['1', '2', '4']);
    // Inside the topK: 0.5 of 0.7 is enough.
    expect(Object.keys(shares({ temperature: 1, topK: 2, topP: 0.7 }))).toEqual(['1']);
  });

  it('keeps what is at least minP times as likely as the best', () => {
    expect(Object.keys(shares({ temperature: 1, minP: 0.35 }))).toEqual(['1', '4']);
    expect(Object.keys(shares({ temperature: 1, minP: 0.29 }))).toEqual(['1', '2', '4']);
    expect(Object.keys(shares({ temperature: 1, minP: 1 }))).toEqual(['1']);
  });

  it('divides positive logits of tokens seen by the penalty, and multiplies negative ones', () => {
    expect(sampleToken([2, 1.5, -1], { repetitionPenalty: 1.5 }, new Set([0]), 0).token).toBe(1);
    expect(sampleToken([-1, -1.5, -9], { repetitionPenalty: 2 }, new Set([0]), 0).token).toBe(1);
    expect(sampleToken([2, 1.5, -1], { repetitionPenalty: 1.2 }, new Set([0]), 0).token).toBe(0);
  });

  it('stays inside for random numbers near 1 and logits of −∞', () => {
    expect(
      sampleToken([Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY], { temperature: 1 }, none, 1 - 2 ** -24),
    ).toEqual({ token: 1, logprob: 0 });
    expect(sampleToken(new Float32Array(7), { temperature: 1 }, none, 1 - 2 ** -24).token).toBe(6);
  });

  it('keeps what the options say, by a plain sort, for many vocabularies', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 200; round++) {
      const scores = Array.from({ length: 1 + Math.floor(random() * 30) }, () => Math.round(random() * 12 - 6) / 2);
      const options = {
        temperature: 0.3 + random(),
        topK: 1 + Math.floor(random() * 12),
        topP: 0.05 + 0.95 * random(),
        minP: random() * 0.3,
      };
      const p = scores.map((v) => Math.exp(v / options.temperature));
      let kept = scores
        .map((_, i) => i)
        .sort((a, b) => p[b] - p[a] || a - b)
        .slice(0, options.topK);
      const total = kept.reduce((sum, i) => sum + p[i], 0);
      let sum = 0;
      kept = kept.filter((i) => {
        const before = sum;
        sum += p[i];
        return before < options.topP * total * (1 - 1e-12);
      });
      kept = kept.filter((i, at) => at === 0 || p[i] >= options.minP * p[kept[0]]);
      const drawn = new Set(
        Array.from({ length: 600 }, (_, i) => sampleToken(scores, options, none, (i + 0.5) / 600).token),
      );
      const weight = kept.reduce((all, i) => all + p[i], 0);
      // What is likelier than a step of the grid is drawn, and nothing else is.
      for (const i of kept)
        if (p[i] / weight > 1 / 500) expect(drawn, JSON.stringify({ scores, options })).toContain(i);
      for (const i of drawn) expect(kept).toContain(i);
    }
  });

  it('does not care in which order equal tokens would be sorted', () => {
    const [a, b] = [
      [1, 1 + 1e-7, 0.5],
      [1 + 1e-7, 1, 0.5],
    ].map((scores) =>
      Array.from(
        { length: 50 },
        (_, i) => sampleToken(scores, { temperature: 1, topP: 0.99 }, none, (i + 0.5) / 50).token,
      ),
    );
    expect(a).toEqual(b);
  });

  it('names the likeliest tokens', () => {
    expect(topLogprobs(logits, 3).map(({ token }) => token)).toEqual([1, 4, 2]);
    expect(topLogprobs(logits, 3)[1].logprob).toBeCloseTo(Math.log(0.2), 12);
    expect(topLogprobs(logits, 0)).toEqual([]);
    expect(topLogprobs(logits, 99).length).toBe(5);
    expect(topLogprobs([2, 5, 5, 1, 5], 4).map(({ token }) => token)).toEqual([1, 2, 4, 0]);
  });

  it('refuses logits of which none is finite', () => {
    for (const value of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
      expect(() => sampleToken([value, value], { temperature: 1 }, none, 0)).toThrow(/largest logit is -?Infinity/);
  });

  it('refuses NaN from the model', () => {
    expect(() => sampleToken([1, Number.NaN], {}, none, 0)).toThrow(/logit of token 1 is NaN/);
  });
});

describe('checkSampling', () => {
  it.each([
    [{ temperature: Number.NaN }, /temperature is NaN, expected a number >= 0/],
    [{ temperature: -1 }, /temperature is -1/],
    [{ temperature: Number.POSITIVE_INFINITY }, /temperature/],
    [{ topK: 0 }, /topK is 0, expected an integer >= 1/],
    [{ topK: 1.5 }, /topK is 1.5/],
    [{ topP: 0 }, /topP is 0/],
    [{ topP: 1.1 }, /topP is 1.1/],
    [{ minP: -0.1 }, /minP is -0.1/],
    [{ repetitionPenalty: 0 }, /repetitionPenalty is 0/],
  ])('refuses %o', (options, message) => {
    expect(() => checkSampling(options)).toThrow(message);
    expect(() => checkSampling(options)).toThrow(OutOfRangeError);
  });
});

describe('threefry', () => {
  it('is the stream of RandomGenerator', async () => {
    const device = await reference();
    for (const seed of [0, 1, -7, 2 ** 31 - 1]) {
      const random = new RandomGenerator(seed, device);
      for (let draw = 0; draw < 5; draw++) {
        const u = random.uniform([1]);
        expect(u.dataSync()[0]).toBe(uniform(seed, draw));
        u.dispose();
      }
      random.dispose();
    }
    device.dispose();
  });
});

import { expect, it } from 'vitest';
import { keepHeaviest, keepNucleus } from '../src/generation/truncation';

let state = 1;
function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

/** By sorting: heaviest first, of equals the smaller index. */
function order(weights: Float64Array): number[] {
  return Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a] || a - b);
}

function only(weights: Float64Array, kept: readonly number[]): number[] {
  return Array.from(weights, (w, i) => (kept.includes(i) ? w : 0));
}

/** Distinct weights, few different ones, all equal, and steep ones. */
const kinds: readonly (() => number)[] = [random, () => Math.ceil(random() * 3) / 4, () => 0.5, () => random() ** 20, () => (random() < 0.5 ? 0 : random())];

it('keeps the heaviest, as sorting does', () => {
  for (const kind of kinds) {
    for (let n = 1; n < 30; n++) {
      const weights = Float64Array.from({ length: n }, kind);
      for (const count of [1, 2, Math.ceil(n / 2), n - 1, n, n + 5].filter((c) => c > 0)) {
        const cut = weights.slice();
        keepHeaviest(cut, count);
        expect(Array.from(cut)).toEqual(only(weights, order(weights).slice(0, count)));
      }
    }
  }
});

it('keeps the smallest nucleus, as sorting does', () => {
  for (const kind of kinds) {
    for (let n = 1; n < 30; n++) {
      const weights = Float64Array.from({ length: n }, kind);
      weights[0] += 0.01;
      const total = weights.reduce((a, b) => a + b);
      for (const share of [0.013, 0.2, 0.617, 0.95, 0.999]) {
        const cut = weights.slice();
        keepNucleus(cut, share);
        const kept: number[] = [];
        let sum = 0;
        for (const i of order(weights)) {
          if (sum >= share * total) break;
          kept.push(i);
          sum += weights[i];
        }
        expect(Array.from(cut)).toEqual(only(weights, kept));
      }
    }
  }
});

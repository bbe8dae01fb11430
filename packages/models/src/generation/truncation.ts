/** Which of some weights remain: all above `least`, and of those equal to it the first `ties`. */
interface Cut {
  readonly least: number;
  readonly ties: number;
}

/** Drops all but the `count` heaviest; of equals, those with the smaller index stay. */
export function keepHeaviest(weights: Float64Array, count: number): void {
  if (count < weights.length)
    keep(
      weights,
      cutAt(weights, count, () => 1),
    );
}

/** Drops all but the fewest of the heaviest whose sum reaches `share` of the whole: the nucleus. */
export function keepNucleus(weights: Float64Array, share: number): void {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  keep(
    weights,
    cutAt(weights, share * total, (weight) => weight),
  );
}

function keep(weights: Float64Array, { least, ties }: Cut): void {
  let left = ties;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] > least || (weights[i] === least && left-- > 0)) continue;
    weights[i] = 0;
  }
}

/**
 * Where to cut so that the measures of the heaviest weights just add up to `needed`. By selection, not by sorting: it takes a few passes over a
 * vocabulary, whatever the distribution.
 */
function cutAt(weights: Float64Array, needed: number, measure: (weight: number) => number): Cut {
  let candidates = weights;
  let missing = needed;
  for (;;) {
    const pivot = middle(candidates[0], candidates[candidates.length >> 1], candidates[candidates.length - 1]);
    let heavier = 0;
    let above = 0;
    let equal = 0;
    for (let i = 0; i < candidates.length; i++) {
      if (candidates[i] > pivot) {
        heavier++;
        above += measure(candidates[i]);
      } else if (candidates[i] === pivot) equal++;
    }
    if (above >= missing && heavier > 0) {
      candidates = candidates.filter((w) => w > pivot);
      continue;
    }
    missing -= above;
    const ties = Math.max(1, Math.ceil(missing / measure(pivot)));
    // Where rounding leaves something missing at the end, everything stays.
    if (ties <= equal || heavier + equal === candidates.length) return { least: pivot, ties };
    missing -= equal * measure(pivot);
    candidates = candidates.filter((w) => w < pivot);
  }
}

function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

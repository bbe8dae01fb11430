// What both directions of the causal convolution share: weights with the channels in the lanes, and how far a row may
// look.

/** Weights (channels, width) as (width, channels rounded up to 4); the lanes behind the last channel are 0. */
export function transposeWeights(weight: usize, channels: i32, width: i32, target: usize): void {
  const padded = (channels + 3) & ~3;
  for (let j = 0; j < width; j++) {
    let source = weight + (<usize>j << 2);
    for (let c = 0; c < padded; c++) {
      store<f32>(target, c < channels ? load<f32>(source) : 0);
      source += <usize>width << 2;
      target += 4;
    }
  }
}

/**
 * How many steps before step t its taps may reach, at most `limit`: not across a reset at any step after the tap.
 * `resets`: of this sequence.
 */
export function reachBack(resets: usize, t: i32, limit: i32): i32 {
  if (resets == 0) return limit;
  for (let d = 0; d < limit && d <= t; d++) if (load<i32>(resets + (<usize>(t - d) << 2)) != 0) return d;
  return limit;
}

/** Is a step in [begin, end) reset? */
export function anyReset(resets: usize, begin: i32, end: i32): bool {
  if (resets == 0) return false;
  for (let t = begin; t < end; t++) if (load<i32>(resets + (<usize>t << 2)) != 0) return true;
  return false;
}

/** Wall-clock times of one operation, in milliseconds. */
export interface Timing {
  readonly median: number;
  readonly fastest: number;
  /** Interquartile range over the median: how much to trust the median. */
  readonly spread: number;
  readonly samples: number;
}

export interface MeasureOptions {
  /** Stop after this many milliseconds (but not before `minSamples`). Default 1500. */
  readonly budget?: number;
  /** Default 7. */
  readonly minSamples?: number;
  /** Calls before timing starts: WASM tiers up, caches fill. Default 3. */
  readonly warmup?: number;
}

/** Times `run` call by call. */
export function measure(run: () => void, options: MeasureOptions = {}): Timing {
  const { budget = 1500, minSamples = 7, warmup = 3 } = options;
  for (let i = 0; i < warmup; i++) run();
  const times: number[] = [];
  const start = performance.now();
  while (times.length < minSamples || (performance.now() - start < budget && times.length < 1000)) {
    const before = performance.now();
    run();
    times.push(performance.now() - before);
  }
  return summarize(times);
}

/** Median and interquartile spread of some times. */
export function summarize(times: readonly number[]): Timing {
  const sorted = [...times].sort((a, b) => a - b);
  const quantile = (q: number): number => {
    const at = q * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };
  const median = quantile(0.5);
  return { median, fastest: sorted[0], spread: median > 0 ? (quantile(0.75) - quantile(0.25)) / median : 0, samples: times.length };
}

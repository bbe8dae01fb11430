/** A value's place on an axis in pixels. */
export interface Axis {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Round numbers (1, 2 or 5 times a power of ten) from `low` to `high`, about `count` of them. */
export function roundTicks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough * 0.999) ?? 10);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** `low` to `high` over the pixels `start` to `end`; `high` grows to the next tick unless it is `fixed`. */
export function linearAxis(low: number, high: number, start: number, end: number, count: number, fixed: boolean): Axis {
  const top = high > low ? high : low + 1;
  let ticks = roundTicks(low, top, count);
  let last = top;
  if (!fixed && ticks.length > 1) {
    const step = ticks[1] - ticks[0];
    if (ticks[ticks.length - 1] < top - step * 1e-9)
      ticks = [...ticks, Number((ticks[ticks.length - 1] + step).toPrecision(12))];
    last = ticks[ticks.length - 1];
  }
  return { ticks, at: (value) => start + ((value - low) / (last - low)) * (end - start) };
}

/** `0.5`, `1,000`, `20k`. */
export function formatTick(value: number): string {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(6))}k`;
  const text = String(Number(value.toPrecision(6)));
  return Number.isInteger(value) ? text.replace(/\B(?=(\d{3})+$)/g, ',') : text;
}

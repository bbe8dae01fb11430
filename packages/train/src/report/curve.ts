import type { ChartSeries } from './document';

/** What of a series is drawn: a line, and the range of the points that it stands for. */
export interface Curve {
  readonly line: readonly (readonly [x: number, y: number])[];
  /** x, lowest and highest y; empty where every point is drawn. */
  readonly range: readonly (readonly [x: number, low: number, high: number])[];
}

/** More points than this along a chart can't be told apart. */
const mostPoints = 240;

/** Averages `smooth` points around each, and thins what is left out to what a chart can show. */
export function curveOf({ points, smooth = 1 }: ChartSeries): Curve {
  const finite = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  const half = Math.floor(Math.max(1, smooth) / 2);
  const line: [number, number][] = [];
  const range: [number, number, number][] = [];
  const stride = Math.max(1, Math.ceil(finite.length / mostPoints));
  for (let i = 0; i < finite.length; i += stride) {
    // The last point always shows: it is where the run ended.
    const at = i + stride >= finite.length ? finite.length - 1 : i;
    // As many points on either side, so that the mean lies where its x is.
    const reach = Math.min(half, at, finite.length - 1 - at);
    const around = finite.slice(at - reach, at + reach + 1).map(([, y]) => y);
    line.push([finite[at][0], around.reduce((sum, y) => sum + y, 0) / around.length]);
    if (smooth > 1) {
      const near = finite.slice(Math.max(0, at - stride), at + stride + 1).map(([, y]) => y);
      range.push([finite[at][0], Math.min(...near), Math.max(...near)]);
    }
  }
  return { line, range };
}

import type { Problem } from './problem';
import { splitOf, type Tile, tileBytes, tileThreads } from './tile';

/** A tile, and how many slices k is cut into at most. */
export interface Tiling {
  readonly tile: Tile;
  readonly slices: number;
}

/** Tiles in use. `speed` is the share of the best one's speed when a product is large, `resident` the workgroups that a processor holds; on an H200. */
const candidates: readonly { readonly tile: Tile; readonly speed: number; readonly resident: number }[] = [
  { tile: { m: 128, n: 128, k: 16, rows: 8, columns: 8 }, speed: 1, resident: 2 },
  { tile: { m: 128, n: 64, k: 16, rows: 8, columns: 8 }, speed: 0.95, resident: 3 },
  { tile: { m: 64, n: 128, k: 16, rows: 8, columns: 8 }, speed: 0.95, resident: 3 },
  { tile: { m: 64, n: 64, k: 16, rows: 8, columns: 8 }, speed: 0.85, resident: 6 },
  { tile: { m: 64, n: 64, k: 16, rows: 4, columns: 8 }, speed: 0.8, resident: 5 },
  { tile: { m: 32, n: 32, k: 32, rows: 4, columns: 4 }, speed: 0.5, resident: 16 },
];

/** A large device, since WebGPU tells nothing of its size: processors, multiply-adds a microsecond of one, bytes of memory a microsecond. */
const processors = 128;
const multiplyAdds = 175_000;
const memoryBytes = 3_500_000;
/** Microseconds of one more dispatch. */
const dispatch = 3;
/** Steps of k that a workgroup's start and end cost. */
const startSteps = 32;
/** Shortest slice of k. */
const shortest = 64;
const mostSlices = 256;

/**
 * The tiling with the least estimated time: processors work in rounds, the last of which may be a part; few groups of 32 on a processor hide less of
 * what they wait for; slices are written and read once more.
 */
export function tilingOf(p: Problem, workgroupBytes: number, maxInvocations: number): Tiling {
  let best: Tiling | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const { tile, speed, resident } of candidates) {
    if (tileBytes(tile) > workgroupBytes || tileThreads(tile) > maxInvocations) continue;
    for (let wanted = 1; wanted <= mostSlices; wanted *= 2) {
      if (wanted > 1 && p.k / wanted < shortest) break;
      const { slices, chunk } = splitOf(p.k, tile, wanted);
      const rounds = Math.ceil((Math.ceil(p.m / tile.m) * Math.ceil(p.n / tile.n) * p.batch * slices) / processors);
      const busy = (workgroups: number): number => (workgroups * tileThreads(tile)) / 128 / ((workgroups * tileThreads(tile)) / 128 + 1);
      const one = ((chunk + startSteps) * tile.m * tile.n) / (multiplyAdds * speed);
      const join = slices > 1 ? dispatch + (slices * p.batch * p.m * p.n * 8) / memoryBytes : 0;
      const time = (rounds * one * busy(resident)) / busy(Math.min(rounds, resident)) + join;
      if (time < least) [least, best] = [time, { tile, slices: wanted }];
    }
  }
  if (!best) throw new RangeError(`matmul: no tile fits into ${workgroupBytes} bytes of workgroup memory and ${maxInvocations} invocations`);
  return best;
}

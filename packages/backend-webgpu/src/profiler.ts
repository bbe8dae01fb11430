import { bufferUsage } from './buffer';
import { type BoundDispatch, encode } from './dispatch';
import type { Runtime } from './runtime';

/** A query set may have this many entries. */
const mostQueries = 4096;

/** Times steps with timestamps: a compute pass of its own for each. */
export class Profiler {
  constructor(private readonly backend: Runtime) {}

  /** Nanoseconds per step; 0 for steps without dispatches. */
  async measure(bound: readonly BoundDispatch[], steps: number): Promise<readonly number[]> {
    const times = new Array<number>(steps).fill(0);
    const ranges = stepRanges(bound);
    for (let first = 0; first < ranges.length; first += mostQueries / 2) {
      const part = ranges.slice(first, first + mostQueries / 2);
      const stamps = await this.timestamps(bound, part);
      part.forEach(([step], i) => {
        times[step] = Number(stamps[2 * i + 1] - stamps[2 * i]);
      });
    }
    return times;
  }

  private async timestamps(bound: readonly BoundDispatch[], ranges: readonly (readonly [number, number, number])[]): Promise<BigInt64Array> {
    const { gpu } = this.backend;
    const count = ranges.length * 2;
    const querySet = gpu.createQuerySet({ type: 'timestamp', count });
    const resolved = gpu.createBuffer({ size: count * 8, usage: bufferUsage.queryResolve | bufferUsage.copySource });
    const staging = gpu.createBuffer({ size: count * 8, usage: bufferUsage.mapRead | bufferUsage.copyTarget });
    const encoder = this.backend.commands();
    ranges.forEach(([, from, to], i) => {
      const pass = encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 } });
      encode(pass, bound, from, to);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, count * 8);
    this.backend.flush();
    await staging.mapAsync(1);
    const stamps = new BigInt64Array(staging.getMappedRange().slice(0));
    for (const resource of [querySet, resolved, staging]) resource.destroy();
    return stamps;
  }
}

/** [step, first dispatch, end] of each step that has dispatches. */
function stepRanges(bound: readonly BoundDispatch[]): (readonly [number, number, number])[] {
  const ranges: [number, number, number][] = [];
  bound.forEach(({ step }, i) => {
    const last = ranges.at(-1);
    if (last && last[0] === step) last[2] = i + 1;
    else ranges.push([step, i, i + 1]);
  });
  return ranges;
}

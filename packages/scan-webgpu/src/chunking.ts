import { type ScanShape } from '@mamba-ts/scan';
import { type ScanPlanOptions, type Tiling } from './types';

export interface Chunking {
  readonly chunkLength: number;
  readonly chunks: number;
  readonly reason: string;
}

/** Invocations that a plan aims for where the options name none. */
export const defaultParallelism = 98304;

/** Most tiles of a chunk in backward: the states before them are kept by each invocation. */
const mostTiles = 32;

/** How time is cut. `longest`: steps that a chunk may have at most. */
export function chooseChunks(shape: ScanShape, options: ScanPlanOptions, tiling: Tiling): Chunking {
  const { batch, length, channels } = shape;
  const { tile, lanes } = tiling;
  const backward = options.operation === 'backward';
  const parallelism = options.parallelism ?? defaultParallelism;
  const invocations = batch * channels * lanes;
  const cut = (steps: number, reason: string): Chunking => {
    const most = backward ? mostTiles * tile : length;
    const chunkLength = Math.min(Math.max(1, Math.ceil(Math.min(steps, most, length) / tile)) * tile, 2 ** 30);
    return { chunkLength, chunks: Math.ceil(length / chunkLength), reason };
  };
  if (options.chunkLength !== undefined) return cut(options.chunkLength, 'chunk length as asked for');
  if (backward) {
    // short chunks keep few states per invocation, long ones less scratch and a shorter carry
    const wanted = length > 65536 ? 32 * tile : length > 16384 ? 16 * tile : 8 * tile;
    const needed = Math.ceil(parallelism / invocations);
    const steps = Math.max(2 * tile, Math.min(wanted, Math.ceil(length / needed)));
    return cut(steps, `${invocations} invocations per chunk, ${steps} steps keep states small and the carry short`);
  }
  if (invocations * 2 >= parallelism || length <= 4 * tile) {
    return cut(length, `channel-parallel: ${invocations} invocations over ${length} steps in one pass`);
  }
  const chunks = Math.min(Math.ceil(parallelism / invocations), Math.ceil(length / (4 * tile)));
  return cut(
    Math.ceil(length / chunks),
    `chunked over time: only ${invocations} invocations per pass over the channels, ${parallelism} wanted; chunk-local scans, carry, output`,
  );
}

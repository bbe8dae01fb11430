// Times of the scan on a card, with the floors that its bytes and exponentials set.
import { type ScanShape, scanSize } from '@mamba-ts/scan';
import { uniformSource } from '@mamba-ts/scan/conformance';
import type { CudaContext } from '../driver/index';
import type { ScanDtype } from '../layout';
import { type ScanPlan, planScan } from '../plan';
import { CudaScan, type ScanPointers, scanBytes } from '../scan';
import type { Ceilings } from './ceilings';
import { toBf16 } from './device-scan';
import { type Timing, time } from './timing';

export interface BenchShape {
  readonly batch: number;
  readonly channels: number;
  readonly length: number;
  readonly dtype: ScanDtype;
  /** The official kernel's times on an H200 in ms, where they are known. */
  readonly official?: readonly [forward: number, both: number];
}

const shape = (batch: number, channels: number, length: number, forward: number, both: number): BenchShape => ({
  ...{ batch, channels, length, dtype: 'bf16' },
  official: [forward, both],
});

const bf16Shapes: readonly BenchShape[] = [
  shape(64, 1024, 512, 0.535, 2.63),
  shape(32, 1024, 1024, 0.564, 2.87),
  shape(16, 1024, 2048, 0.59, 2.91),
  shape(8, 1024, 4096, 0.595, 2.95),
  shape(4, 1024, 8192, 0.668, 3.15),
  shape(2, 1024, 16384, 0.715, 3.44),
  shape(1, 1024, 32768, 0.708, 3.73),
  shape(1, 1024, 131072, 2.86, 14.2),
  shape(1, 1024, 524288, 11.6, 56.4),
  shape(8, 2048, 2048, 0.591, 2.9),
  shape(1, 1536, 2048, 0.069, 0.346),
  shape(1, 1536, 256, 0.017, 0.258),
];

/** The same shapes in bf16 and in float32, of which the official kernel's time is known at one. */
export const benchShapes: readonly BenchShape[] = [
  ...bf16Shapes,
  ...bf16Shapes.map(({ batch, channels, length }): BenchShape => ({
    ...{ batch, channels, length, dtype: 'float32' },
    ...(batch === 16 ? { official: [1.158, 3.83] as const } : {}),
  })),
];

/** Device memory with a scan's arrays, filled with plausible random numbers. */
export class BenchArrays {
  readonly pointers: Record<string, bigint> = {};
  private readonly random: Record<'normal' | 'step', Float32Array>;

  constructor(
    private readonly context: CudaContext,
    readonly plan: ScanPlan,
  ) {
    const uniform = uniformSource(5);
    const block = (value: () => number): Float32Array => Float32Array.from({ length: 1 << 20 }, value);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    this.random = { normal: block(normal), step: block(() => 0.5 * normal()) };
    for (const name of ['u', 'delta', 'B', 'C', 'z'] as const) this.pointers[name] = this.fill(name);
    this.pointers.gradY = this.fill('y');
    const { channels, dState } = plan.shape;
    this.pointers.A = this.upload(Float32Array.from({ length: channels * dState }, (_, index) => -1 - (index % dState)));
    this.pointers.D = this.upload(new Float32Array(channels).fill(1));
    this.pointers.deltaBias = this.upload(Float32Array.from({ length: channels }, () => -4 + 2 * uniform()));
    for (const [result, of] of [
      ...([['y', 'y'], ['gradU', 'u'], ['gradDelta', 'delta'], ['gradZ', 'z'], ['gradA', 'A'], ['gradB', 'B'], ['gradC', 'C']] as const),
      ...([['gradD', 'D'], ['gradDeltaBias', 'deltaBias']] as const),
    ]) {
      this.pointers[result] = context.allocate(scanBytes(plan, of));
    }
  }

  private upload(values: ArrayBufferView): bigint {
    const pointer = this.context.allocate(values.byteLength);
    this.context.upload(pointer, values);
    return pointer;
  }

  /** Random numbers over the whole array: one block, copied again and again. */
  private fill(name: 'u' | 'delta' | 'B' | 'C' | 'z' | 'y'): bigint {
    const { context, plan } = this;
    const values = this.random[name === 'delta' ? 'step' : 'normal'];
    const bytes = scanBytes(plan, name);
    const block = bytes < scanSize(plan.shape, name) * 4 ? toBf16(values) : values;
    const pointer = context.allocate(bytes);
    for (let at = 0; at < bytes; at += block.byteLength) {
      context.upload(pointer + BigInt(at), new Uint8Array(block.buffer, 0, Math.min(block.byteLength, bytes - at)));
    }
    return pointer;
  }

  all(more: Record<string, bigint> = {}): ScanPointers {
    return { ...this.pointers, ...more } as unknown as ScanPointers;
  }

  free(): void {
    for (const pointer of Object.values(this.pointers)) this.context.free(pointer);
  }
}

export interface BenchRow {
  readonly shape: ScanShape;
  readonly dtype: ScanDtype;
  readonly forward: Timing;
  readonly backward: Timing;
  readonly both: Timing;
  /** Least time for the bytes that must move, and for the exponentials, in ms; fractions of both that were reached. */
  readonly floors: Record<'forward' | 'both', { readonly bytes: number; readonly exponentials: number }>;
  /** The official kernel's times and how many times faster these are, where it is known. */
  readonly official?: readonly [forward: number, both: number];
  readonly speedup?: readonly [forward: number, both: number];
  readonly plans: readonly [forward: string, backward: string];
  readonly memory: { readonly checkpointBytes: number; readonly scratchBytes: number };
}

/** Each input read once and each output written once; an exponential per state and step, in each direction one. */
function floorsOf({ batch, length, channels, dState }: ScanShape, dtype: ScanDtype, { bytesPerMs, exponentialsPerMs }: Ceilings): BenchRow['floors'] {
  const size = dtype === 'bf16' ? 2 : 4;
  const rows = batch * length;
  const forward = (4 * channels + 2 * dState) * rows * size;
  const both = forward + (7 * channels + 4 * dState) * rows * size;
  const exponentials = (rows * channels * dState) / exponentialsPerMs;
  return {
    forward: { bytes: forward / bytesPerMs, exponentials },
    both: { bytes: both / bytesPerMs, exponentials: 2 * exponentials },
  };
}

export function scanShapeOfBench({ batch, channels, length }: BenchShape): ScanShape {
  return { batch, channels, length, dState: 16, groups: 1, complex: false, variableB: true, variableC: true };
}

/** Times one shape with the plans that are chosen for it. */
export async function benchScan(context: CudaContext, kernels: CudaScan, entry: BenchShape, ceilings: Ceilings): Promise<BenchRow> {
  const scan = scanShapeOfBench(entry);
  const base = { dtype: entry.dtype, deltaSoftplus: true, multiprocessors: context.multiprocessors };
  const forwardPlan = planScan(scan, { ...base, pass: 'forward' });
  const savingPlan = planScan(scan, { ...base, pass: 'forward', checkpoints: true });
  const backwardPlan = planScan(scan, { ...base, pass: 'backward', checkpoints: true });
  const [forward, saving, backward] = [await kernels.prepare(forwardPlan), await kernels.prepare(savingPlan), await kernels.prepare(backwardPlan)];
  const arrays = new BenchArrays(context, backwardPlan);
  const stream = context.createStream();
  const scratch = context.allocate(Math.max(backwardPlan.scratchBytes, savingPlan.scratchBytes));
  const checkpoints = context.allocate(backwardPlan.checkpointBytes);
  const pointers = arrays.all({ scratch, checkpoints });
  const results = {
    forward: time(context, stream, () => forward.launch(pointers, stream)),
    backward: time(context, stream, () => backward.launch(pointers, stream)),
    both: time(context, stream, () => {
      saving.launch(pointers, stream);
      backward.launch(pointers, stream);
    }),
  };
  context.free(scratch);
  context.free(checkpoints);
  arrays.free();
  stream.destroy();
  return {
    ...{ shape: scan, dtype: entry.dtype, ...results, floors: floorsOf(scan, entry.dtype, ceilings) },
    ...(entry.official && { official: entry.official, speedup: [entry.official[0] / results.forward.median, entry.official[1] / results.both.median] as const }),
    plans: [forwardPlan.explanation, `${savingPlan.explanation}; ${backwardPlan.explanation}`],
    memory: { checkpointBytes: backwardPlan.checkpointBytes, scratchBytes: backwardPlan.scratchBytes },
  };
}

/** A line of the table. */
export function printRow({ shape: s, dtype, forward, both, backward, floors, speedup }: BenchRow): string {
  const ms = ({ median, low, high }: Timing): string => `${median.toFixed(4)} ±${((100 * (high - low)) / 2 / median).toFixed(1)}%`;
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)}%`;
  const official = (which: 0 | 1): string => (speedup === undefined ? '' : `${speedup[which].toFixed(2)}x`);
  const cells = [
    `${s.batch}x${s.channels}x${s.length} ${dtype}`,
    ...[ms(forward), official(0), percent(floors.forward.bytes, forward.median), percent(floors.forward.exponentials, forward.median)],
    ms(backward),
    ...[ms(both), official(1), percent(floors.both.bytes, both.median), percent(floors.both.exponentials, both.median)],
  ];
  return `| ${cells.join(' | ')} |`;
}

export const tableHead: string =
  '| B x D x L | forward ms | vs official | of bytes | of exp2 | backward ms | forward + backward ms | vs official | of bytes | of exp2 |\n' +
  '|---|---|---|---|---|---|---|---|---|---|';

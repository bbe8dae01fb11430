// Times of the scan on a device: several launches in one pass between two timestamps, medians over many passes.
import { type ScanShape } from '@mamba-ts/scan';
import { uniformSource } from '@mamba-ts/scan/conformance';
import { type ScanArray, arrayBytes } from '../arrays';
import { deviceLimits } from '../limits';
import { type PlanOverride, type ScanPlan, type ScanPlanOptions, planScan } from '../plan';
import { type BoundScan, type ScanBuffers, type PreparedScan, WebGpuScan } from '../scan';

export const benchSizes: readonly (readonly [batch: number, channels: number, length: number])[] = [
  [64, 1024, 512],
  [32, 1024, 1024],
  [16, 1024, 2048],
  [8, 1024, 4096],
  [4, 1024, 8192],
  [2, 1024, 16384],
  [1, 1024, 32768],
  [1, 1024, 131072],
  [1, 1024, 524288],
  [8, 2048, 2048],
  [1, 1536, 2048],
  [1, 1536, 256],
];

export interface Timing {
  readonly median: number;
  /** 10th and 90th percentile. */
  readonly low: number;
  readonly high: number;
  readonly fastest: number;
  /** Interquartile range over the median. */
  readonly spread: number;
  readonly samples: number;
}

/** Time of bound scans, one behind the other, in ms on the device, behind at least `settle` ms. Needs `timestamp-query`. */
export async function time(
  device: GPUDevice,
  scans: readonly BoundScan[],
  budget = 400,
  settle = 600,
): Promise<Timing> {
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = device.createBuffer({ size: 16, usage: 0x200 | 0x4 }); // QUERY_RESOLVE, COPY_SRC
  const copy = device.createBuffer({ size: 16, usage: 0x1 | 0x8 }); // MAP_READ, COPY_DST
  const measure = async (repeats: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    for (let i = 0; i < repeats; i++) for (const scan of scans) scan.encode(pass);
    pass.end();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, copy, 0, 16);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(1);
    const [begin, end] = new BigUint64Array(copy.getMappedRange().slice(0));
    copy.unmap();
    return Number(end - begin) / 1e6 / repeats;
  };
  const once = Math.max(1e-3, Math.min(await measure(1), await measure(2)));
  // Timestamps are rounded to 0.066 ms by Dawn and browsers: passes are made so long that it does not matter.
  const repeats = Math.max(1, Math.min(1000, Math.ceil(20 / once)));
  const runs = Math.max(5, Math.min(40, Math.floor(budget / (once * repeats))));
  // After a pause a card's clocks take a second to rise: what is measured counts once it has settled.
  const settling: number[] = [];
  for (const start = performance.now(); performance.now() - start < 3000;) {
    settling.push(await measure(repeats));
    const last = settling.slice(-4);
    if (last.length === 4 && performance.now() - start > settle && Math.max(...last) < 1.02 * Math.min(...last)) break;
  }
  const samples: number[] = [];
  for (let i = 0; i < runs; i++) samples.push(await measure(repeats));
  samples.sort((a, b) => a - b);
  querySet.destroy();
  resolved.destroy();
  copy.destroy();
  const at = (fraction: number): number => samples[Math.round(fraction * (samples.length - 1))];
  const spread = (at(0.75) - at(0.25)) / at(0.5);
  return { median: at(0.5), low: at(0.1), high: at(0.9), fastest: samples[0], spread, samples: samples.length };
}

/** Buffers with a scan's arrays, filled with plausible random numbers. */
export class BenchBuffers {
  private readonly buffers = new Map<string, GPUBuffer>();

  constructor(
    private readonly device: GPUDevice,
    private readonly shape: ScanShape,
  ) {}

  /** Buffers of all arrays of some plans. */
  all(plans: readonly ScanPlan[]): ScanBuffers {
    for (const plan of plans)
      for (const name of plan.arrays) if (!this.buffers.has(name)) this.buffers.set(name, this.fill(name));
    const scratch = Math.max(...plans.map((plan) => plan.scratchBytes));
    const own = Object.fromEntries(this.buffers) as ScanBuffers;
    if (scratch === 0) return own;
    if ((this.buffers.get('scratch')?.size ?? 0) < scratch) {
      this.buffers.get('scratch')?.destroy();
      this.buffers.set('scratch', this.create(scratch));
    }
    return { ...own, scratch: this.buffers.get('scratch') };
  }

  destroy(): void {
    for (const buffer of this.buffers.values()) buffer.destroy();
  }

  private create(size: number): GPUBuffer {
    return this.device.createBuffer({ size, usage: 0x80 | 0x4 | 0x8 }); // STORAGE, COPY_SRC, COPY_DST
  }

  private fill(name: ScanArray): GPUBuffer {
    const { device, shape } = this;
    const bytes = arrayBytes(shape, 'float32', name);
    const buffer = this.create(bytes);
    const uniform = uniformSource(5);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    const value: Partial<Record<ScanArray, (index: number) => number>> = {
      ...{
        A: (index) => -1 - (index % shape.dState),
        D: () => 1,
        deltaBias: () => -4 + 2 * uniform(),
        delta: () => 0.5 * normal(),
      },
    };
    const block = Float32Array.from({ length: Math.min(bytes / 4, 1 << 20) }, (_, index) =>
      (value[name] ?? normal)(index),
    );
    device.queue.writeBuffer(buffer, 0, block);
    const source = this.create(block.byteLength);
    device.queue.writeBuffer(source, 0, block);
    const encoder = device.createCommandEncoder();
    for (let done = block.byteLength; done < bytes; done += block.byteLength) {
      encoder.copyBufferToBuffer(source, 0, buffer, done, Math.min(block.byteLength, bytes - done));
    }
    device.queue.submit([encoder.finish()]);
    source.destroy();
    return buffer;
  }
}

export interface BenchRow {
  readonly shape: ScanShape;
  readonly dtype: 'float32';
  readonly forward: Timing;
  readonly backward: Timing;
  readonly both: Timing;
  /** Least time for the bytes that must move, and for the exponentials, on an H200, in ms. */
  readonly floors: Record<'forward' | 'both', { readonly bytes: number; readonly exponentials: number }>;
  readonly plans: readonly [forward: string, backward: string];
  readonly memory: { readonly checkpointBytes: number; readonly scratchBytes: number };
}

const bytesPerMs = 4.3e9;
const exponentialsPerMs = 4.08e9;

/** Each input read once and each output written once; an exponential per state and step, in each direction one. */
export function floorsOf({ batch, length, channels, dState }: ScanShape): BenchRow['floors'] {
  const rows = batch * length;
  const forward = (4 * channels + 2 * dState) * rows * 4;
  const both = forward + (7 * channels + 4 * dState) * rows * 4;
  const exponentials = (rows * channels * dState) / exponentialsPerMs;
  return {
    forward: { bytes: forward / bytesPerMs, exponentials },
    both: { bytes: both / bytesPerMs, exponentials: 2 * exponentials },
  };
}

export function benchShape([batch, channels, length]: readonly [number, number, number]): ScanShape {
  return { batch, channels, length, dState: 16, groups: 1, complex: false, variableB: true, variableC: true };
}

/** Overrides of what the plans of both directions choose. */
export interface BenchOverride {
  readonly forward?: PlanOverride;
  readonly backward?: PlanOverride;
}

export interface BenchPlans {
  readonly forward: ScanPlan;
  readonly saving: ScanPlan;
  readonly backward: ScanPlan;
}

/** The plans that are timed: forward alone, forward with checkpoints, backward from these. */
export function benchPlans(device: GPUDevice, shape: ScanShape, { forward, backward }: BenchOverride = {}): BenchPlans {
  const base: Omit<ScanPlanOptions, 'pass'> = {
    arrays: ['D', 'z', 'deltaBias'],
    deltaSoftplus: true,
    limits: deviceLimits(device),
  };
  return {
    forward: planScan(shape, { ...base, pass: 'forward', override: forward }),
    saving: planScan(shape, { ...base, pass: 'forward', checkpoints: true, override: forward }),
    backward: planScan(shape, { ...base, pass: 'backward', checkpoints: true, override: backward }),
  };
}

/** Times one shape. Throws a ScanShapeError where it does not fit the device's limits. */
export async function benchScan(
  device: GPUDevice,
  kernels: WebGpuScan,
  shape: ScanShape,
  override?: BenchOverride,
  budget = 400,
): Promise<BenchRow> {
  const plans = benchPlans(device, shape, override);
  const prepared: PreparedScan[] = [];
  for (const plan of [plans.forward, plans.saving, plans.backward]) prepared.push(await kernels.prepareAsync(plan));
  const buffers = new BenchBuffers(device, shape);
  try {
    const all = buffers.all([plans.saving, plans.backward]);
    const [forward, saving, backward] = prepared.map((scan) => scan.bind(all));
    return {
      ...{ shape, dtype: 'float32' as const },
      forward: await time(device, [forward], budget),
      both: await time(device, [saving, backward], budget),
      backward: await time(device, [backward], budget),
      floors: floorsOf(shape),
      plans: [plans.saving.explanation, plans.backward.explanation],
      memory: { checkpointBytes: plans.backward.checkpointBytes, scratchBytes: plans.backward.scratchBytes },
    };
  } finally {
    buffers.destroy();
    for (const scan of prepared) scan.destroy();
  }
}

/** A line of the table. */
export function printRow({ shape: s, forward, both, backward, floors }: BenchRow): string {
  const ms = ({ median, low, high }: Timing): string =>
    `${median.toFixed(4)} ±${((100 * (high - low)) / 2 / median).toFixed(1)}%`;
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)}%`;
  const cells = [
    ...[`${s.batch}x${s.channels}x${s.length}`, ms(forward)],
    ...[percent(floors.forward.bytes, forward.median), percent(floors.forward.exponentials, forward.median)],
    ...[
      ms(backward),
      ms(both),
      percent(floors.both.bytes, both.median),
      percent(floors.both.exponentials, both.median),
    ],
  ];
  return `| ${cells.join(' | ')} |`;
}

export const tableHead: string =
  '| B x D x L | forward ms | of bytes | of exp2 | backward ms | forward + backward ms | of bytes | of exp2 |\n|---|---|---|---|---|---|---|---|';

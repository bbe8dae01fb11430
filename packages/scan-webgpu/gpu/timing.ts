// Times plans with timestamp queries on buffers of random numbers.
import { type ScanShape } from '@mamba-ts/scan';
import { type ScanPlanOptions, type TensorName, compileScanAsync, planScan } from '@mamba-ts/scan-webgpu';

export interface Timing {
  readonly operation: string;
  /** Milliseconds per run. */
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  readonly samples: number;
  readonly runsPerSample: number;
  readonly scratchBytes: number;
  readonly plan: string;
}

const usage = { storage: 0x80, copyTo: 0x8, copyFrom: 0x4, read: 0x1, resolve: 0x200 };

/** Values that decay neither at once nor never: delta about 0.02 to 0.7 after softplus, A from -1 to -16. */
function sampleOf(name: TensorName, length: number): Float32Array {
  const values = new Float32Array(length);
  let seed = 12345 + name.length;
  for (let i = 0; i < length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const uniform = seed / 2 ** 32;
    values[i] = name === 'delta' ? 4 * uniform - 4 : name === 'A' ? -1 - 15 * uniform : 2 * uniform - 1;
  }
  return values;
}

/** Buffers of one shape, shared by its forward and backward. */
export class Workspace {
  readonly #buffers = new Map<string, GPUBuffer>();
  constructor(readonly device: GPUDevice) {}

  buffer(name: TensorName | 'scratch', bytes: number): GPUBuffer {
    const known = this.#buffers.get(name);
    if (known !== undefined && known.size >= bytes) return known;
    known?.destroy();
    const { device } = this;
    const buffer = device.createBuffer({ size: bytes, usage: usage.storage | usage.copyTo | usage.copyFrom });
    this.#buffers.set(name, buffer);
    if (name !== 'scratch') {
      const sample = sampleOf(name, Math.min(bytes / 4, 2 ** 22));
      for (let at = 0; at < bytes; at += sample.byteLength) {
        device.queue.writeBuffer(buffer, at, sample.buffer, 0, Math.min(sample.byteLength, bytes - at));
      }
    }
    return buffer;
  }

  destroy(): void {
    for (const buffer of this.#buffers.values()) buffer.destroy();
    this.#buffers.clear();
  }
}

async function readTimestamps(device: GPUDevice, querySet: GPUQuerySet, count: number): Promise<BigUint64Array> {
  const resolved = device.createBuffer({ size: count * 8, usage: usage.resolve | usage.copyFrom });
  const staging = device.createBuffer({ size: count * 8, usage: usage.read | usage.copyTo });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, count * 8);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
  staging.destroy();
  resolved.destroy();
  return stamps;
}

/**
 * Times one operation (or several, one after the other in the same pass): `samples` passes of as many runs as fill
 * about two milliseconds, so that the timer's resolution does not matter.
 */
export async function timeScan(
  workspace: Workspace,
  shape: ScanShape,
  operations: readonly ScanPlanOptions[],
  samples = 15,
  onlyKernel?: number,
): Promise<Timing> {
  const { device } = workspace;
  const scans = await Promise.all(
    operations.map(async (options) => {
      const whole = planScan(device, shape, options);
      const plan = onlyKernel === undefined ? whole : { ...whole, kernels: [whole.kernels[onlyKernel]] };
      return { plan, scan: await compileScanAsync(device, plan) };
    }),
  );
  const scratchBytes = Math.max(...scans.map(({ plan }) => plan.scratchBytes));
  const bound = scans.map(({ plan, scan }) => {
    const buffers = Object.fromEntries(plan.tensors.map(({ name, bytes }) => [name, workspace.buffer(name, bytes)]));
    return scan.bind({ ...buffers, ...(plan.scratchBytes > 0 && { scratch: workspace.buffer('scratch', scratchBytes) }) });
  });
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const run = async (runs: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = encoder.beginComputePass({ timestampWrites });
    for (let i = 0; i < runs; i++) for (const scan of bound) scan.encode(pass);
    pass.end();
    device.queue.submit([encoder.finish()]);
    const [begin, end] = await readTimestamps(device, querySet, 2);
    return Number(end - begin) / 1e6 / runs;
  };
  await run(1);
  const rough = await run(2);
  const runs = Math.max(1, Math.min(100, Math.ceil(2 / Math.max(rough, 1e-3))));
  await run(runs);
  const times: number[] = [];
  for (let i = 0; i < samples; i++) times.push(await run(runs));
  times.sort((a, b) => a - b);
  querySet.destroy();
  for (const { scan } of scans) scan.destroy();
  return {
    operation: operations.map(({ operation }) => operation).join(' + '),
    median: times[times.length >> 1],
    lowest: times[0],
    highest: times[times.length - 1],
    samples,
    runsPerSample: runs,
    scratchBytes,
    plan: scans.map(({ plan }) => plan.explanation).join(' | '),
  };
}

// Ways of a float32 matrix product beside each other.
import type { Device, Program, RoutineStep } from '@mamba-ts/tensor';
import type { WebGpuBackend } from '../src/backend';
import { matmulBy, type Way } from '../src/routines/matmul';
import { webgpuRoutines } from '../src/routines/index';

export interface Timing {
  /** What it became. */
  readonly code: string;
  readonly shape: string;
  readonly milliseconds: number;
  readonly teraflops: number;
}

/** Median of `rounds` runs of about 150 ms of (m, k) by (k, n) or its transposes. */
export async function timeProduct(device: Device, way: Way, [m, k, n]: readonly [number, number, number], transposes: readonly [boolean, boolean], rounds = 3): Promise<Timing> {
  const backend = device.backend as WebGpuBackend;
  const [transposeA, transposeB] = transposes;
  const a = transposeA ? [1, k, m] : [1, m, k];
  const b = transposeB ? [1, n, k] : [1, k, n];
  const size = (s: readonly number[]): number => s.reduce((x, y) => x * y, 4);
  const step: RoutineStep = {
    kind: 'routine',
    call: { name: 'matmul', attributes: { transposeA, transposeB }, inputs: [{ shape: a, dtype: 'float32' }, { shape: b, dtype: 'float32' }], outputs: [{ shape: [1, m, n], dtype: 'float32' }] },
    inputs: [0, 1],
    outputs: [2],
    scratch: null,
  };
  const before = webgpuRoutines.matmul;
  webgpuRoutines.matmul = matmulBy(way);
  try {
    const scratchBytes = webgpuRoutines.matmul.scratchBytes?.(step.call, backend.capabilities) ?? 0;
    const slots: Program['slots'] = [
      ...[size(a), size(b), m * n * 4].map((bytes) => ({ kind: 'external' as const, bytes, offset: 0 })),
      { kind: 'arena', bytes: scratchBytes, offset: 0 },
    ];
    const program: Program = { key: `${JSON.stringify(way)} ${m} ${k} ${n} ${transposes.join()}`, slots, steps: [{ ...step, scratch: scratchBytes > 0 ? 3 : null }], arenaBytes: scratchBytes, externals: [0, 1, 2] };
    const executable = backend.prepare(program);
    const buffers = slots.slice(0, 3).map((s) => device.allocateBuffer(s.bytes));
    const arena = scratchBytes > 0 ? device.allocateBuffer(scratchBytes) : null;
    const random = (count: number): Float32Array => Float32Array.from({ length: count }, () => Math.random() - 0.5);
    const [left, right] = [random(size(a) / 4), random(size(b) / 4)];
    backend.write(buffers[0], 'float32', left);
    backend.write(buffers[1], 'float32', right);
    // Without pause, and for long enough that the clocks are up: the first runs only warm up.
    const recording = executable.record(buffers, arena);
    const many = async (count: number): Promise<number> => {
      const start = performance.now();
      for (let i = 0; i < count; i++) recording.replay();
      await device.synchronize();
      return performance.now() - start;
    };
    await many(2);
    const one = Math.max(0.02, (await many(4)) / 4);
    const count = Math.max(4, Math.min(2000, Math.ceil(150 / one)));
    await many(count);
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) times.push((await many(count)) / count);
    recording.dispose();
    const worst = largestError(await backend.read(buffers[2], 'float32', m * n), left, right, [m, k, n], transposes);
    // Rounding adds up like a random walk over k.
    if (!(worst < 2e-6 * Math.sqrt(k))) throw new Error(`${executable.describe()[0].code}: a result is off by ${worst}`);
    for (const buffer of arena ? [...buffers, arena] : buffers) device.freeBuffer(buffer);
    times.sort((x, y) => x - y);
    const milliseconds = times[times.length >> 1];
    return { code: executable.describe()[0].code, shape: `${m}x${k}x${n}${transposeA ? ' aT' : ''}${transposeB ? ' bT' : ''}`, milliseconds, teraflops: (2 * m * n * k) / milliseconds / 1e9 };
  } finally {
    webgpuRoutines.matmul = before;
  }
}

/** Of some elements of the product, the largest difference from their value in float64. */
function largestError(product: ArrayLike<number>, a: Float32Array, b: Float32Array, [m, k, n]: readonly [number, number, number], [transposeA, transposeB]: readonly [boolean, boolean]): number {
  let worst = 0;
  for (let sample = 0; sample < 200; sample++) {
    const [i, j] = sample === 0 ? [m - 1, n - 1] : [Math.floor(Math.random() * m), Math.floor(Math.random() * n)];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
    worst = Math.max(worst, Math.abs(product[i * n + j] - sum));
  }
  return worst;
}

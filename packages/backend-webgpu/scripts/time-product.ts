// Ways of a float32 matrix product beside each other.
import type { Device, DeviceBuffer, Program, RoutineStep } from '@mamba-ts/tensor';
import type { WebGpuBackend } from '../src/backend';
import { matmulBy, type Way } from '../src/routines/matmul';
import { webgpuRoutines } from '../src/routines/index';

export interface Timing {
  /** What it became. */
  readonly code: string;
  readonly shape: string;
  /** Of one product. */
  readonly milliseconds: number;
  readonly teraflops: number;
  /** Products in one submit: short ones would otherwise time the submit. */
  readonly products: number;
}

const samples = 200;
/** Milliseconds that a submit, a round and the warming up last at least. A card that idles for a second takes this long to raise its clocks. */
const lasts = { submit: 0.4, round: 100, warmUp: 600 };

/** (m, k) by (k, n) or its transposes, on random numbers. */
export class ProductTimer {
  private readonly backend: WebGpuBackend;
  private readonly step: RoutineStep;
  private readonly buffers: readonly DeviceBuffer[];
  private readonly sizes: readonly [number, number, number];
  private readonly places: readonly (readonly [number, number, number])[];
  constructor(
    private readonly device: Device,
    private readonly shape: readonly [number, number, number],
    private readonly transposes: readonly [boolean, boolean],
  ) {
    const [m, k, n] = shape;
    const [transposeA, transposeB] = transposes;
    this.backend = device.backend as WebGpuBackend;
    this.sizes = [m * k, k * n, m * n];
    const inputs = [transposeA ? [1, k, m] : [1, m, k], transposeB ? [1, n, k] : [1, k, n]];
    this.step = {
      kind: 'routine',
      call: { name: 'matmul', attributes: { transposeA, transposeB }, inputs: inputs.map((s) => ({ shape: s, dtype: 'float32' as const })), outputs: [{ shape: [1, m, n], dtype: 'float32' }] },
      inputs: [0, 1],
      outputs: [2],
      scratch: null,
    };
    this.buffers = this.sizes.map((count) => device.allocateBuffer(count * 4));
    const factors = this.sizes.slice(0, 2).map((length) => Float32Array.from({ length }, () => Math.random() - 0.5));
    factors.forEach((values, i) => this.backend.write(this.buffers[i], 'float32', values));
    // Some elements of the product in float64, the last one among them.
    const [a, b] = factors;
    this.places = Array.from({ length: samples }, (_, s) => {
      const [i, j] = s === 0 ? [m - 1, n - 1] : [Math.floor(Math.random() * m), Math.floor(Math.random() * n)];
      let sum = 0;
      for (let p = 0; p < k; p++) sum += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
      return [i, j, sum] as const;
    });
  }

  /** Median of `rounds`. @throws if a result is wrong */
  async time(way: Way, rounds = 3): Promise<Timing> {
    const { backend, device, shape: [m, k, n], transposes: [transposeA, transposeB], sizes } = this;
    const before = webgpuRoutines.matmul;
    webgpuRoutines.matmul = matmulBy(way);
    try {
      const scratchBytes = webgpuRoutines.matmul.scratchBytes?.(this.step.call, backend.capabilities) ?? 0;
      const slots: Program['slots'] = [
        ...sizes.map((count) => ({ kind: 'external' as const, bytes: count * 4, offset: 0 })),
        { kind: 'arena', bytes: scratchBytes, offset: 0 },
      ];
      const products = Math.max(1, Math.min(32, Math.ceil(lasts.submit / ((2 * m * n * k) / 2e10))));
      const step = { ...this.step, scratch: scratchBytes > 0 ? 3 : null };
      const steps = Array.from({ length: products }, () => step);
      const program: Program = { key: `${JSON.stringify(way)} ${m} ${k} ${n} ${transposeA} ${transposeB}`, slots, steps, arenaBytes: scratchBytes, externals: [0, 1, 2] };
      const executable = backend.prepare(program);
      const arena = scratchBytes > 0 ? device.allocateBuffer(scratchBytes) : null;
      backend.write(this.buffers[2], 'float32', new Float32Array(sizes[2]).fill(Number.NaN));
      const recording = executable.record(this.buffers, arena);
      const many = async (count: number): Promise<number> => {
        const start = performance.now();
        for (let i = 0; i < count; i++) recording.replay();
        await device.synchronize();
        return (performance.now() - start) / count;
      };
      let one = await many(2);
      for (let warm = 0; warm < lasts.warmUp; warm += 10 * one) one = await many(10);
      const count = Math.max(4, Math.ceil(lasts.round / one));
      const times: number[] = [];
      for (let i = 0; i < rounds; i++) times.push((await many(count)) / products);
      recording.dispose();
      const { code } = executable.describe()[0];
      const product = await backend.read(this.buffers[2], 'float32', sizes[2]);
      if (arena) device.freeBuffer(arena);
      if (product.some((v) => Number.isNaN(v))) throw new Error(`${code}: a result was not written`);
      const worst = Math.max(...this.places.map(([i, j, sum]) => Math.abs(product[i * n + j] - sum)));
      // Rounding adds up like a random walk over k.
      if (!(worst < 2e-6 * Math.sqrt(k))) throw new Error(`${code}: a result is off by ${worst}`);
      const milliseconds = times.sort((x, y) => x - y)[times.length >> 1];
      return { code, shape: `${m}x${k}x${n}${transposeA ? ' aT' : ''}${transposeB ? ' bT' : ''}`, milliseconds, teraflops: (2 * m * n * k) / milliseconds / 1e9, products };
    } finally {
      webgpuRoutines.matmul = before;
    }
  }

  dispose(): void {
    for (const buffer of this.buffers) this.device.freeBuffer(buffer);
  }
}

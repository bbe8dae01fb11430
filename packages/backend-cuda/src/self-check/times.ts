import { compile, type Device, scope, type Tensor, variable, zeros } from '@mamba-ts/tensor';

/** A compiled step to time: what it is, and the tensors that it reads. */
interface Timed {
  readonly name: string;
  readonly make: (device: Device) => { readonly inputs: readonly Tensor[]; readonly step: () => Tensor | readonly Tensor[] };
}

const fresh = (device: Device, ...shape: number[]): Tensor => scope(() => zeros(shape, { device }).add(0.5).realize());
const half = (device: Device, ...shape: number[]): Tensor => scope(() => zeros(shape, { device }).add(0.5).cast('bfloat16').realize());

const timed: Timed[] = [
  {
    name: 'copy of 256 MiB, float32', make: (d) => {
      const x = fresh(d, 1 << 26);
      return { inputs: [x], step: () => x.mul(2) };
    },
  },
  {
    name: 'bfloat16 copy of 256 MiB', make: (d) => {
      const x = half(d, 1 << 27);
      return { inputs: [x], step: () => x.mul(2).cast('bfloat16') };
    },
  },
  {
    name: 'silu(x) y over 16384x1536', make: (d) => {
      const [x, y] = [fresh(d, 16384, 1536), fresh(d, 16384, 1536)];
      return { inputs: [x, y], step: () => x.mul(x.sigmoid()).mul(y) };
    },
  },
  {
    name: 'rms norm of 16384x768', make: (d) => {
      const [x, w] = [fresh(d, 16384, 768), fresh(d, 768)];
      return { inputs: [x, w], step: () => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt()).mul(w) };
    },
  },
  {
    name: 'sum over 16384 rows of 768', make: (d) => {
      const x = fresh(d, 16384, 768);
      return { inputs: [x], step: () => x.sum(0) };
    },
  },
  {
    name: 'sum of 64 Mi', make: (d) => {
      const x = fresh(d, 1 << 26);
      return { inputs: [x], step: () => x.sum() };
    },
  },
  {
    name: 'rms norm of 1x768', make: (d) => {
      const [x, w] = [fresh(d, 1, 768), fresh(d, 768)];
      return { inputs: [x, w], step: () => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt()).mul(w) };
    },
  },
  ...([[1536, 768], [768, 1536], [3072, 768], [50280, 768], [8192, 2048]] as const).map(([n, k]): Timed => ({
    name: `dot products with a bfloat16 matrix ${n}x${k}`, make: (d) => {
      const [x, w] = [fresh(d, 1, k), half(d, n, k)];
      return { inputs: [x, w], step: () => w.mul(x).sum(1) };
    },
  })),
  {
    name: '100 dependent kernels over 1536 elements', make: (d) => {
      const x = fresh(d, 1536);
      return {
        inputs: [x], step: () => {
          // A reduction in each keeps them from being fused.
          let y = x;
          for (let i = 0; i < 50; i++) y = y.sub(y.mean(0, true)).mul(0.5);
          return y;
        },
      };
    },
  },
  {
    name: 'AdamW-like update of 64 Mi', make: (d) => {
      const [g, m, v, p] = Array.from({ length: 4 }, () => scope(() => variable(fresh(d, 1 << 26))));
      return {
        inputs: [g, m, v, p], step: () => {
          m.assign(m.mul(0.9).add(g.mul(0.1)));
          v.assign(v.mul(0.999).add(g.mul(g).mul(0.001)));
          p.assign(p.sub(m.div(v.sqrt().add(1e-8)).mul(1e-3)));
          return m.slice(0, 0, 1);
        },
      };
    },
  },
];

/** Time of replays (many in a row, divided), and of the steps by themselves. */
export async function timeKernels(device: Device, log: (line: string) => void): Promise<void> {
  for (const { name, make } of timed) {
    const { inputs, step } = make(device);
    const run = compile(step);
    run();
    run();
    await device.synchronize();
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      for (let i = 0; i < 50; i++) run();
      await device.synchronize();
      best = Math.min(best, (performance.now() - start) / 50);
    }
    await run.profile();
    const report = await run.profile();
    const rate = report.bytes / best / 1e6;
    log(`${name}: ${(best * 1e3).toFixed(1)} µs a replay, ${report.steps.length} steps, ${rate.toFixed(0)} GB/s`);
    for (const s of report.steps.slice(0, 4)) log(`    ${((s.nanoseconds ?? 0) / 1e3).toFixed(1)} µs  ${s.what.slice(0, 40)}  ${s.shape}  [${s.code}]`);
    run.dispose();
    for (const t of inputs) t.dispose();
  }
}

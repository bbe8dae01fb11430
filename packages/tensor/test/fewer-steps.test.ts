import { expect, it } from 'vitest';
import { compile, type Device, RandomGenerator, reference, scope, stateUpdate, type Tensor, tensor } from '@mamba-ts/tensor';
import type { Backend } from '../src/backend';
import type { Program } from '../src/compile/program';
import { Device as TensorDevice } from '../src/device';
import { ReferenceBackend } from '../src/reference/backend';

/** The fusing reference, with what a GPU backend asks for; keeps the last program. */
class AskingBackend extends ReferenceBackend {
  override readonly halfInputs = { matmul: [0, 1] };
  program: Program | null = null;

  constructor() {
    super(true);
  }

  lowersMatmul(call: Parameters<NonNullable<Backend['lowersMatmul']>>[0]): boolean {
    return call.outputs[0].shape[1] <= 2;
  }

  override prepare(program: Program): ReturnType<ReferenceBackend['prepare']> {
    this.program = program;
    return super.prepare(program);
  }
}

async function run(device: Device, step: (x: Tensor, w: Tensor) => Tensor, rows: number): Promise<ArrayLike<number>> {
  const random = new RandomGenerator(3, device);
  const [x, w] = scope(() => [random.uniform([rows, 8]).realize(), random.uniform([12, 8]).cast('bfloat16').realize()]);
  const compiled = compile(step);
  const values = await compiled(x, w).data();
  compiled.dispose();
  for (const t of [x, w, random]) t.dispose();
  return values;
}

const norm = (x: Tensor): Tensor => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt());
const layer = (x: Tensor, w: Tensor): Tensor => norm(x).matmul(w, { transposeB: true }).add(1);

it('products of few rows become kernels with the norm in front and the sum behind', async () => {
  const backend = new AskingBackend();
  const device = new TensorDevice(backend);
  const few = await run(device, layer, 2);
  expect(backend.program?.steps.map((s) => s.kind)).toEqual(['kernel', 'kernel']);
  expect(few).toEqual(await run(await reference(), layer, 2));
  const many = await run(device, layer, 3);
  expect(backend.program?.steps.map((s) => s.kind)).toEqual(['kernel', 'kernel', 'routine']);
  expect(many).toEqual(await run(await reference(), layer, 3));
  for (const [transposeA, transposeB] of [[false, false], [true, false], [false, true], [true, true]]) {
    const product = (x: Tensor, w: Tensor): Tensor => {
      const a = x.slice(0, 0, 2).reshape(2, 1, 8);
      const b = w.reshape(3, 4, 8).slice(0, 0, 2);
      return (transposeA ? a.transpose(1, 2) : a).matmul(transposeB ? b : b.transpose(1, 2), { transposeA, transposeB });
    };
    expect(await run(device, product, 2)).toEqual(await run(await reference(), product, 2));
    expect(backend.program?.steps.some((s) => s.kind === 'routine')).toBe(false);
  }
});

it('the norm of the only row joins the sum of products: one kernel', async () => {
  const backend = new AskingBackend();
  const device = new TensorDevice(backend);
  const steps: ((x: Tensor, w: Tensor) => Tensor)[] = [
    layer,
    (x, w) => norm(x).mul(x.mul(0).add(1.5)).matmul(w, { transposeB: true }),
    (x, w) => norm(x).reshape(1, 1, 8).mul(w.slice(0, 0, 1).reshape(8)).matmul(w, { transposeB: true }),
    // The scale has another use: then it is computed for that as well.
    (x, w) => norm(x).matmul(w, { transposeB: true }).add(x.square().mean(-1, true).add(1e-5).rsqrt()),
  ];
  const kernels = [1, 1, 1, 2];
  for (const [i, step] of steps.entries()) {
    const values = Array.from(await run(device, step, 1));
    expect(backend.program?.steps.map((s) => s.kind)).toEqual(Array.from({ length: kernels[i] }, () => 'kernel'));
    const expected = Array.from(await run(await reference(), step, 1));
    values.forEach((v, at) => expect(v).toBeCloseTo(expected[at], 12));
  }
  // A scale from anything else than sums over the row stays where it is.
  const other = await run(device, (x, w) => x.mul(x.slice(1, 0, 4).square().sum().sqrt()).matmul(w, { transposeB: true }), 1);
  expect(other.length).toBe(12);
  expect(backend.program?.steps.length).toBe(2);
});

it('a routine reads parts of such a product where they lie', async () => {
  const backend = new AskingBackend();
  const device = new TensorDevice(backend);
  // u is a part of one projection of a single token; delta does not start at a multiple of 16 bytes, B is no multiple long: those are copied.
  const step = (x: Tensor, w: Tensor): Tensor => {
    const all = x.matmul(w, { transposeB: true });
    const part = (from: number, to: number): Tensor => all.slice(1, from, to);
    const A = x.slice(1, 0, 8).reshape(4, 2).neg();
    return stateUpdate(A.reshape(1, 4, 2), { u: part(0, 4), delta: part(5, 9), A, B: part(8, 10).reshape(1, 1, 2), C: A }).y;
  };
  for (const input of [(x: Tensor): Tensor => x, norm]) {
    const of = (x: Tensor, w: Tensor): Tensor => step(input(x), w);
    const values = Array.from(await run(device, of, 1));
    const expected = Array.from(await run(await reference(), of, 1));
    values.forEach((v, at) => expect(v).toBeCloseTo(expected[at], 12));
    const steps = backend.program?.steps ?? [];
    const update = steps.find((s) => s.kind === 'routine');
    expect(update?.kind === 'routine' && update.call.inputs.map((i) => i?.view?.offset ?? null)).toEqual([null, 0, null, null, null, null, null, null, null]);
  }
});

it('without being asked, nothing changes', async () => {
  class Plain extends ReferenceBackend {
    program: Program | null = null;
    override prepare(program: Program): ReturnType<ReferenceBackend['prepare']> {
      this.program = program;
      return super.prepare(program);
    }
  }
  const backend = new Plain(true);
  await run(new TensorDevice(backend), layer, 1);
  expect(backend.program?.steps.some((s) => s.kind === 'routine')).toBe(true);
  expect(tensor([1], { device: new TensorDevice(backend) }).shape).toEqual([1]);
});

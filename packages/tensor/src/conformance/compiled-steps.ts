import { describe, expect, it } from './runner';
import { grad } from '../autograd/grad';
import { compile } from '../compile/compile';
import type { Device } from '../device';
import { OutOfRangeError, TensorError } from '../errors';
import { tensor, zeros } from '../functions/create';
import { concat } from '../functions/join';
import { silu } from '../functions/elementwise';
import { argmax, crossEntropy, gather } from '../functions/routines';
import { nodesCreated } from '../graph/node';
import { RandomGenerator } from '../random';
import { scope } from '../scope';
import type { Tensor } from '../tensor';
import { variable, type Variable } from '../variable';
import type { Devices } from './index';
import { randomSource, randomValues } from './random-values';

const vocabulary = 7;
const width = 6;

/** A small classifier with momentum: embedding, two layers, in-place updates of weights and moments. */
function makeTraining(device: Device): { weights: Variable[]; moments: Variable[]; random: RandomGenerator; step: (ids: Tensor, targets: Tensor) => Tensor; free: () => void } {
  const source = randomSource(3);
  const make = (...shape: number[]): Variable => scope(() => variable(tensor(randomValues(source, shape.reduce((a, b) => a * b, 1), -0.5, 0.5), { shape, device })));
  const weights = [make(vocabulary, width), make(width, width), make(vocabulary, width)];
  const moments = weights.map((w) => variable(zeros(w.shape, { device })));
  const random = new RandomGenerator(11, device);
  const step = (ids: Tensor, targets: Tensor): Tensor => {
    const [embedding, hidden, head] = weights;
    const keep = random.bernoulli([ids.shape[0], width], 0.9);
    const h = silu(gather(embedding, ids).mul(keep).matmul(hidden));
    const loss = crossEntropy(h.matmul(head, { transposeB: true }), targets).mean();
    grad(loss, weights).forEach((g, i) => {
      moments[i].assign(moments[i].mul(0.9).add(g));
      weights[i].assign(weights[i].sub(moments[i].mul(0.3)));
    });
    return loss;
  };
  return { weights, moments, random, step, free: () => [...weights, ...moments, random].forEach((t) => t.dispose()) };
}

const ids = Int32Array.of(0, 3, 6, 2, 5);
const targets = Int32Array.of(3, 6, 2, 5, 1);

async function losses(device: Device, steps: number): Promise<{ values: number[]; weights: number[] }> {
  const training = makeTraining(device);
  const step = compile(training.step);
  const [x, y] = [ids, targets].map((v) => tensor(v, { device }));
  const values: number[] = [];
  for (let i = 0; i < steps; i++) values.push(await step(x, y).item());
  const weights = Array.from(await training.weights[1].data());
  step.dispose();
  training.free();
  x.dispose();
  y.dispose();
  return { values, weights };
}

/** `compile`: replay, in-place state, what it refuses, and that it costs nothing per step. */
export function testCompiledSteps(devices: Devices): void {
  describe('compiled steps', () => {
    it('train as the reference does, and bit-identically twice', async () => {
      const baseline = devices.device.memory();
      const first = await losses(devices.device, 20);
      const second = await losses(devices.device, 20);
      const exact = await losses(devices.oracle, 20);
      expect(second).toEqual(first);
      first.values.forEach((v, i) => expect(Math.abs(v - exact.values[i]) / exact.values[i], `loss ${i}`).toBeLessThan(1e-4));
      expect(first.values[19]).toBeLessThan(first.values[0] / 2);
      expect(devices.device.memory().buffers).toBe(baseline.buffers);
      expect(devices.device.memory().bytes).toBe(baseline.bytes);
    });

    it('allocate nothing and create no graph nodes after the first call', async () => {
      const { device } = devices;
      const training = makeTraining(device);
      const step = compile(training.step);
      const [x, y] = [ids, targets].map((v) => variable(tensor(v, { device })));
      step(x, y);
      const before = { nodes: nodesCreated(), allocations: device.memory().allocations };
      for (let i = 0; i < 10; i++) {
        x.write(ids);
        step(x, y);
      }
      expect({ nodes: nodesCreated(), allocations: device.memory().allocations }).toEqual(before);
      expect(step.explain()[0].toString()).toContain('routines');
      step.dispose();
      training.free();
      x.dispose();
      y.dispose();
    });

    it('swap two variables, shift a window, count: in-place order never shows', async () => {
      const { device } = devices;
      const [a, b, window, count] = [[1, 2, 3], [4, 5, 6], [1, 2, 3, 4], [0]].map((v) => scope(() => variable(tensor(v, { device }))));
      const step = compile(() => {
        const old = a.add(0);
        a.assign(b);
        b.assign(old);
        count.assign(count.add(1));
        // Reads its own old value at other positions: must not be done in place.
        window.assign(window.slice(0, 1, 4).pad(0, 0, 1).add(window.flip(0).mul(0.5)));
        return [a.add(b), window.sum()];
      });
      const plain = { a: [1, 2, 3], b: [4, 5, 6], window: [1, 2, 3, 4] };
      for (let i = 0; i < 3; i++) {
        const [sum, total] = step() as [Tensor, Tensor];
        [plain.a, plain.b] = [plain.b, plain.a];
        plain.window = plain.window.map((_, k) => (plain.window[k + 1] ?? 0) + plain.window[3 - k] / 2);
        expect([...(await sum.data())]).toEqual(plain.a.map((v, k) => v + plain.b[k]));
        expect([...(await a.data())]).toEqual(plain.a);
        expect([...(await b.data())]).toEqual(plain.b);
        expect([...(await window.data())]).toEqual(plain.window);
        expect(await total.item()).toBeCloseTo(plain.window.reduce((s, v) => s + v, 0), 4);
        expect(await count.item()).toBe(i + 1);
      }
      step.dispose();
      for (const v of [a, b, window, count]) v.dispose();
    });

    it('find the largest of a part of each row, as a head with more rows than tokens needs it', async () => {
      const { device } = devices;
      const [rows, columns, part] = [5, 44, 41];
      const source = randomSource(9);
      const make = (...shape: number[]): Variable => scope(() => variable(tensor(randomValues(source, shape.reduce((a, b) => a * b, 1), -1, 1), { shape, device })));
      const [a, b] = [make(rows, 8), make(columns, 8)];
      const step = compile(() => {
        const product = a.matmul(b, { transposeB: true });
        return [argmax(product.slice(1, 0, part)), product];
      });
      const [found, product] = step() as Tensor[];
      const values = await product.data();
      const expected = Array.from({ length: rows }, (_, r) => {
        const row = Array.from(values.slice(r * columns, r * columns + part));
        return row.indexOf(Math.max(...row));
      });
      expect(Array.from(await found.data())).toEqual(expected);
      step.dispose();
      for (const v of [a, b]) v.dispose();
    });

    it('shift windows of the last samples, oldest first', async () => {
      const { device } = devices;
      const source = randomSource(5);
      const shapes = [[2, 3, 5], [1, 3, 8], [64, 3, 36], [2, 1, 4], [3, 7, 4], [2, 20, 3]] as const;
      const make = (...shape: number[]): Variable => scope(() => variable(tensor(randomValues(source, shape.reduce((a, b) => a * b, 1), -1, 1), { shape, device })));
      const windows = shapes.map((shape) => make(...shape));
      const samples = shapes.map(([batch, , channels]) => make(batch, channels));
      const step = compile(() =>
        windows.map((window, i) => {
          const seen = concat([window, samples[i].unsqueeze(1)], 1);
          window.assign(seen.slice(1, 1));
          return seen.sum(1);
        }),
      );
      const plain = await Promise.all(windows.map(async (window) => Array.from(await window.data())));
      for (let turn = 0; turn < 3; turn++) {
        const sums = step() as Tensor[];
        for (const [i, [batch, length, channels]] of shapes.entries()) {
          const now = await samples[i].data();
          const all = Array.from({ length: batch }, (_, b) => [
            ...plain[i].slice(b * length * channels, (b + 1) * length * channels), ...now.slice(b * channels, (b + 1) * channels),
          ]);
          plain[i] = all.flatMap((column) => column.slice(channels));
          expect(Array.from(await windows[i].data())).toEqual(plain[i]);
          const expected = all.flatMap((column) => Array.from({ length: channels }, (_, c) => column.filter((__, at) => at % channels === c).reduce((a, b) => a + b, 0)));
          (await sums[i].data()).forEach((v, at) => expect(Math.abs(v - expected[at])).toBeLessThan(1e-4));
        }
        for (const sample of samples) sample.write(Float32Array.from({ length: sample.size }, (_, at) => turn + at / 8));
      }
      step.dispose();
      for (const v of [...windows, ...samples]) v.dispose();
    });

    it('update many variables, of equal and of other sizes, each by its own size', async () => {
      const { device } = devices;
      // Sizes that fill blocks of any device exactly have kernels that differ in how many blocks they are, if in anything.
      const sizes = [4096, 1024, 2048, 1024, 300, 4096];
      const variables = sizes.map((size, i) => scope(() => variable(tensor(new Float32Array(size).fill(i), { device }))));
      const step = compile(() => {
        for (const v of variables) v.assign(v.mul(0.5).add(1));
      });
      for (let i = 0; i < 2; i++) step();
      for (const [i, v] of variables.entries()) expect([...new Set(await v.data())], `variable ${i}`).toEqual([i / 4 + 1.5]);
      step.dispose();
      for (const v of variables) v.dispose();
    });

    it('follow a variable that was given a new value outside', async () => {
      const { device } = devices;
      const w = scope(() => variable(tensor([1, 2], { device })));
      const step = compile(() => w.mul(10));
      expect([...(await step().data())]).toEqual([10, 20]);
      scope(() => w.assign(tensor([3, 4], { device })));
      expect([...(await step().data())]).toEqual([30, 40]);
      w.write(Float32Array.of(5, 6));
      expect([...(await step().data())]).toEqual([50, 60]);
      step.dispose();
      w.dispose();
    });

    it('keep what is derived from variables that they leave alone, until one of these changes', async () => {
      const { device } = devices;
      const baseline = device.memory();
      const [w, x, counter] = [[0, 1], [1, 2], [0]].map((v) => scope(() => variable(tensor(v, { device }))));
      const plain = compile(() => x.mul(w.exp().neg()).add(1));
      const kept = compile(() => x.mul(w.exp().derived().neg().derived()).add(1));
      const own = compile(() => {
        counter.assign(counter.add(1).derived());
        return counter.mul(2).derived();
      });
      const update = compile(() => {
        const [g] = grad(x.mul(w.exp().derived()).sum(), [w]);
        w.assign(w.sub(g.mul(0.5)));
      });
      const same = async (): Promise<void> => expect([...(await kept().data())]).toEqual([...(await plain().data())]);
      await same();
      x.write(Float32Array.of(3, 4));
      await same();
      w.write(Float32Array.of(2, -1));
      await same();
      scope(() => w.assign(tensor([0.5, 0.25], { device })));
      await same();
      const before = [...(await w.data())];
      update();
      const after = [...(await w.data())];
      before.forEach((v, i) => expect(after[i]).toBeCloseTo(v - 0.5 * [3, 4][i] * Math.exp(v), 5));
      await same();
      for (let i = 1; i < 4; i++) expect(await own().item()).toBe(2 * i);
      const kernels = (step: typeof plain): readonly string[] => step.explain()[0].steps.map((s) => s.what);
      expect(kernels(plain).join()).toContain('exp');
      expect(kernels(kept).join()).not.toContain('exp');
      const memory = device.memory();
      kept();
      expect(device.memory()).toEqual(memory);
      for (const t of [plain, kept, own, update, w, x, counter]) t.dispose();
      expect({ ...device.memory(), allocations: 0 }).toEqual({ ...baseline, allocations: 0 });
    });

    it('retrace for new shapes and draw new random numbers each time', async () => {
      const { device } = devices;
      const random = new RandomGenerator(5, device);
      const step = compile((x: Tensor) => x.add(random.uniform(x.shape)));
      const draws: number[] = [];
      for (const n of [2, 3, 2, 2]) {
        const x = zeros([n], { device });
        draws.push(Number((await step(x).data())[0]));
        x.dispose();
      }
      expect(new Set(draws).size).toBe(4);
      expect(step.explain().length).toBe(2);
      step.dispose();
      random.dispose();
    });

    it('refuse values inside, results that are still read, and empty steps', async () => {
      const { device } = devices;
      const w = scope(() => variable(tensor([1], { device })));
      expect(() => compile(() => w.realize().add(1).realize())()).toThrow(/does not exist while compile/);
      expect(() => compile(() => undefined)()).toThrow(TensorError);
      const step = compile(() => w.add(1));
      const pending = step().mul(3);
      expect(() => step()).toThrow(/still used by a tensor outside/);
      expect(await pending.item()).toBe(6);
      step();
      for (const t of [pending, w]) t.dispose();
      step.dispose();
    });

    it('stop at a token id outside the table and leave the weights alone', async () => {
      const { device } = devices;
      const training = makeTraining(device);
      const step = compile(training.step);
      const [x, y] = [ids, targets].map((v) => scope(() => variable(tensor(v, { device }))));
      await step(x, y).item();
      const before = Array.from(await training.weights[0].data());
      x.write(Int32Array.of(0, 3, 99, 2, 5));
      const failing = async (): Promise<number> => step(x, y).item();
      await expect(failing()).rejects.toThrow(OutOfRangeError);
      await expect(failing()).rejects.toThrow(/ids has 99 at flat position 2, expected an integer in \[0, 6\]/);
      expect(Array.from(await training.weights[0].data())).toEqual(before);
      x.write(ids);
      expect(Number.isFinite(await step(x, y).item())).toBe(true);
      step.dispose();
      training.free();
      x.dispose();
      y.dispose();
    });
  });
}

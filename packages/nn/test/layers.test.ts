import { Conv1d, Dropout, Embedding, initializers, LayerNorm, Linear, Module, RMSNorm } from '@mamba-ts/nn';
import { grad, RandomGenerator, scope, type Tensor, tensor, type Variable } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';
import { fixedValues } from './fixed-values';
import { floats, temporarily } from './temporarily';

onEachDevice('layers', (on) => {
  it('Linear computes x Wᵀ + b, also for one vector', async () => {
    const [weight, bias, y, single, second] = await temporarily((random) => {
      const layer = new Linear(3, 2, random);
      const x = floats([2, 2, 3], 1);
      return [layer.weight, layer.bias as Variable, layer.forward(x), layer.forward(floats([3], 1)), layer.forward(x, [1, 2])];
    });
    const x = fixedValues(12, 1);
    const expected: number[] = [];
    for (let row = 0; row < 4; row++) {
      for (let o = 0; o < 2; o++) {
        let sum = bias[o];
        for (let i = 0; i < 3; i++) sum += x[row * 3 + i] * weight[o * 3 + i];
        expected.push(sum);
      }
    }
    expectClose(y, expected, on.tolerance);
    expectClose(single, expected.slice(0, 2), on.tolerance);
    expectClose(second, expected.filter((_, i) => i % 2 === 1), on.tolerance);
    const bound = 1 / Math.sqrt(3);
    for (const w of [...Array.from(weight), ...Array.from(bias)]) expect(Math.abs(w)).toBeLessThanOrEqual(bound);
  });

  it('Embedding gives rows of its table, N(0, 0.02²) at first', async () => {
    const [table, rows] = await temporarily((random) => {
      const layer = new Embedding(50, 40, random);
      return [
        layer.weight,
        layer.forward(
          tensor(
            [
              [3, 0],
              [49, 3],
            ],
            { dtype: 'int32' },
          ),
        ),
      ];
    });
    const row = (id: number): number[] => Array.from(table).slice(id * 40, id * 40 + 40);
    expect(Array.from(rows)).toEqual([...row(3), ...row(0), ...row(49), ...row(3)]);
    const mean = Array.from(table).reduce((a, v) => a + v, 0) / 2000;
    const deviation = Math.sqrt(Array.from(table).reduce((a, v) => a + (v - mean) ** 2, 0) / 2000);
    expect(Math.abs(mean)).toBeLessThan(0.002);
    expect(deviation).toBeGreaterThan(0.019);
    expect(deviation).toBeLessThan(0.021);
  });

  it('Embedding refuses ids outside its table', async () => {
    const random = new RandomGenerator(1);
    const layer = new Embedding(4, 2, random);
    for (const id of [4, -1]) {
      const ids = tensor([0, id], { dtype: 'int32' });
      const rows = scope(() => layer.forward(ids));
      await expect((async () => rows.data())()).rejects.toThrow(expect.objectContaining({ name: 'OutOfRangeError' }));
      rows.dispose();
      ids.dispose();
    }
    layer.dispose();
    random.dispose();
  });

  for (const groups of [1, 2]) {
    it(`RMSNorm divides by the root of the mean square, ${groups} groups`, async () => {
      const [y] = await temporarily(() => {
        const layer = new RMSNorm(4, { groups });
        layer.weight.write(fixedValues(4, 2));
        return [layer.forward(floats([3, 4], 3).mul(10))];
      });
      const x = fixedValues(12, 3).map((v) => v * 10);
      const weight = fixedValues(4, 2);
      const expected = x.map((v, i) => {
        const size = 4 / groups;
        const first = Math.floor(i / size) * size;
        const square = x.slice(first, first + size).reduce((s, u) => s + u * u, 0) / size;
        return (v / Math.sqrt(square + 1e-5)) * weight[i % 4];
      });
      expectClose(y, expected, on.tolerance);
    });
  }

  it('LayerNorm subtracts the mean too, without cancellation far from zero', async () => {
    const [y] = await temporarily(() => {
      const layer = new LayerNorm(4);
      layer.weight.write(fixedValues(4, 4));
      (layer.bias as Variable).write(fixedValues(4, 5));
      return [layer.forward(floats([3, 4], 6).mul(4).floor().add(1000))];
    });
    const x = fixedValues(12, 6).map((v) => Math.floor(v * 4) + 1000);
    const weight = fixedValues(4, 4);
    const bias = fixedValues(4, 5);
    const expected = x.map((v, i) => {
      const row = x.slice(Math.floor(i / 4) * 4, Math.floor(i / 4) * 4 + 4);
      const mean = row.reduce((s, u) => s + u, 0) / 4;
      const variance = row.reduce((s, u) => s + (u - mean) ** 2, 0) / 4;
      return ((v - mean) / Math.sqrt(variance + 1e-5)) * weight[i % 4] + bias[i % 4];
    });
    expectClose(y, expected, on.tolerance);
  });

  it('norms of bfloat16 values compute in float32', async () => {
    const [y, dtype] = await temporarily(() => {
      const layer = new RMSNorm(4);
      const out = layer.forward(tensor([1, 2, 3, 4]).cast('bfloat16'));
      return [out, tensor(out.dtype === 'float32' ? 1 : 0)];
    });
    expectClose(
      y,
      [1, 2, 3, 4].map((v) => v / Math.sqrt(7.5 + 1e-5)),
      on.tolerance,
    );
    expect(dtype[0]).toBe(1);
  });

  it('Dropout zeroes at its rate, scales the rest, draws anew each time, and rests when not training', async () => {
    const [once, again, still, gradient] = await temporarily((random) => {
      const layer = new Dropout(0.25, random);
      const x = tensor(new Float64Array(4000).fill(3));
      const a = layer.forward(x);
      const [g] = grad(a.sum(), [x]);
      const b = layer.forward(x);
      return [a, b, layer.train(false).forward(x), g] as const;
    });
    const zeros = Array.from(once).filter((v) => v === 0).length;
    expect(zeros).toBeGreaterThan(880);
    expect(zeros).toBeLessThan(1120);
    for (let i = 0; i < 4000; i++) if (once[i] !== 0) expect(once[i]).toBeCloseTo(4, 5);
    expectClose(
      gradient,
      Array.from(once, (v) => v / 3),
      on.tolerance,
    );
    expect(Array.from(again)).not.toEqual(Array.from(once));
    expect(Array.from(still)).toEqual(new Array(4000).fill(3));
  });

  it('Dropout leaves no memory behind, outside of scopes too', async () => {
    const random = new RandomGenerator(5);
    const layer = new Dropout(0.5, random);
    const x = tensor([1, 2, 3]);
    const { buffers } = on.device.memory();
    for (let i = 0; i < 3; i++) {
      const y = layer.forward(x);
      expect((await y.data()).length).toBe(3);
      y.dispose();
    }
    expect(on.device.memory().buffers).toBe(buffers);
    x.dispose();
    random.dispose();
  });

  it('initializers keep to their distributions', async () => {
    const [kaiming, fanIn, uniform, normal, constant, scaled] = await temporarily((random) => [
      initializers.kaimingUniform({ a: 1 })([20, 10, 5], random),
      initializers.uniformFanIn()([20, 10, 5], random),
      initializers.uniform(2, 3)([1000], random),
      initializers.normal(5, 0.1)([1000], random),
      initializers.constant(0.5)([3], random),
      initializers.scaled(initializers.constant(6), 0.5)([2], random),
    ]);
    const range = (v: ArrayLike<number>): [number, number] => [Math.min(...Array.from(v)), Math.max(...Array.from(v))];
    for (const [values, low, high] of [
      [kaiming, -Math.sqrt(3 / 50), Math.sqrt(3 / 50)],
      [fanIn, -Math.sqrt(1 / 50), Math.sqrt(1 / 50)],
      [uniform, 2, 3],
    ] as const) {
      const [least, most] = range(values);
      const slack = (high - low) * 0.02;
      expect(least).toBeGreaterThanOrEqual(low - 1e-7);
      expect(least).toBeLessThan(low + slack);
      expect(most).toBeLessThanOrEqual(high + 1e-7);
      expect(most).toBeGreaterThan(high - slack);
    }
    const mean = Array.from(normal).reduce((a, v) => a + v, 0) / 1000;
    expect(Math.abs(mean - 5)).toBeLessThan(0.015);
    expect(Array.from(constant)).toEqual([0.5, 0.5, 0.5]);
    expect(Array.from(scaled)).toEqual([3, 3]);
  });

  it('layers take other initializers', async () => {
    const ones = initializers.constant(1);
    const values = await temporarily((random) => {
      const linear = new Linear(2, 2, random, { weightInit: ones, biasInit: initializers.constant(0) });
      const conv = new Conv1d(2, 2, random, { weightInit: ones, bias: false });
      expect(conv.bias).toBe(null);
      expect(new Linear(2, 2, random, { bias: false }).bias).toBe(null);
      expect(new LayerNorm(2, { bias: false }).bias).toBe(null);
      return [
        linear.forward(tensor([2, 3])),
        conv.forward(
          tensor([
            [
              [1, 2],
              [3, 4],
            ],
          ]),
        ),
        new Embedding(2, 2, random, { weightInit: ones }).weight,
      ];
    });
    expect(values.map((v) => Array.from(v))).toEqual([
      [5, 5],
      [1, 2, 4, 6],
      [1, 1, 1, 1],
    ]);
  });

  it('bad arguments are refused by name', () => {
    scope(() => {
      const random = new RandomGenerator(1);
      const refusals: [() => unknown, string, string][] = [
        [() => new Linear(0, 2, random), 'OutOfRangeError', 'Linear: inputs is 0, expected an integer >= 1'],
        [() => new Linear(2, 1.5, random), 'OutOfRangeError', 'Linear: outputs is 1.5, expected an integer >= 1'],
        [
          () => new Embedding(Number.NaN, 2, random),
          'OutOfRangeError',
          'Embedding: rows is NaN, expected an integer >= 1',
        ],
        [() => new Conv1d(2, 0, random), 'OutOfRangeError', 'Conv1d: width is 0, expected an integer >= 1'],
        [() => new RMSNorm(4, { eps: -1 }), 'OutOfRangeError', 'RMSNorm: eps is -1, expected a finite number >= 0'],
        [() => new RMSNorm(4, { groups: 3 }), 'OutOfRangeError', 'RMSNorm: groups is 3, expected a divisor of width 4'],
        [() => new LayerNorm(-1), 'OutOfRangeError', 'LayerNorm: width is -1, expected an integer >= 1'],
        [() => new Dropout(1, random), 'OutOfRangeError', 'Dropout: rate is 1, expected a finite number in [0, 1)'],
        [
          () => new Dropout(Number.NaN, random),
          'OutOfRangeError',
          'Dropout: rate is NaN, expected a finite number in [0, 1)',
        ],
        [
          () => new Linear(3, 2, random).forward(floats([2, 4], 1)),
          'ShapeError',
          'Linear: x has shape (2, 4), expected a last axis of 3',
        ],
        [
          () => new Linear(3, 2, random).forward(tensor(1)),
          'ShapeError',
          'Linear: x has shape (), expected a last axis of 3',
        ],
        [
          () => new Embedding(3, 2, random).forward(floats([2], 1)),
          'DTypeError',
          'gather: ids is float32, expected int32',
        ],
        [
          () => new RMSNorm(3).forward(floats([2, 4], 1)),
          'ShapeError',
          'RMSNorm: x has shape (2, 4), expected a last axis of 3',
        ],
        [
          () => new LayerNorm(3).forward(floats([4], 1)),
          'ShapeError',
          'LayerNorm: x has shape (4), expected a last axis of 3',
        ],
        [
          () => new Conv1d(3, 4, random).forward(floats([2, 5, 2], 1)),
          'ShapeError',
          'causalConv1d: weight has shape (3, 4), expected (channels 2, width 4)',
        ],
        [
          () => new Conv1d(3, 4, random).step(floats([2, 1, 3], 1), floats([2, 3, 3], 1)),
          'ShapeError',
          'Conv1d: x has shape (2, 1, 3), expected (batch, channels 3)',
        ],
        [
          () => new Conv1d(3, 4, random).step(floats([2, 3], 1), floats([2, 4, 3], 1)),
          'ShapeError',
          'Conv1d: window has shape (2, 4, 3), expected (batch 2, width - 1 3, channels 3)',
        ],
        [
          () => initializers.normal(0, -1),
          'OutOfRangeError',
          'initializers.normal: deviation is -1, expected a finite number >= 0',
        ],
        [
          () => initializers.uniformFanIn()([3], random),
          'ShapeError',
          'initializers: the parameter has shape (3), which has no fan-in: expected at least 2 axes, or pass fanIn',
        ],
      ];
      for (const [act, name, message] of refusals) {
        expect(act, message).toThrow(expect.objectContaining({ name, message }));
      }
    });
  });

  it('making, using and disposing a model leaves no memory behind', async () => {
    class Model extends Module {
      readonly embedding: Embedding;
      readonly norm: RMSNorm;
      readonly conv1d: Conv1d;
      readonly drop: Dropout;
      readonly head: Linear;
      constructor(random: RandomGenerator) {
        super();
        this.embedding = new Embedding(9, 4, random);
        this.norm = new RMSNorm(4);
        this.conv1d = new Conv1d(4, 3, random);
        this.drop = new Dropout(0.1, random);
        this.head = new Linear(4, 9, random);
      }
      forward(ids: Tensor): Tensor {
        return this.head.forward(
          this.drop.forward(this.conv1d.forward(this.norm.forward(this.embedding.forward(ids)))),
        );
      }
    }
    const { buffers, bytes } = on.device.memory();
    const random = new RandomGenerator(3);
    const model = new Model(random);
    for (let i = 0; i < 3; i++) {
      const y = scope(() => model.forward(tensor([[1, 2, 3]], { dtype: 'int32' })));
      expect((await y.data()).length).toBe(27);
      y.dispose();
    }
    // Parameters and the generator's counter, nothing else.
    expect(on.device.memory().buffers).toBe(buffers + model.stateDict().size + 1);
    model.dispose();
    random.dispose();
    expect([on.device.memory().buffers, on.device.memory().bytes]).toEqual([buffers, bytes]);
  });
});

import {
  AdamW,
  type AdamWOptions,
  clipGradientNorm,
  gradientNorm,
  parameter,
  type ParameterMetadata,
} from '@mamba-ts/nn';
import {
  compile,
  fromBFloat16,
  nodesCreated,
  realize,
  scope,
  type Tensor,
  tensor,
  toBFloat16,
  type Variable,
} from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';
import { fixedValues } from './fixed-values';

/** The update by its formula, in float64. */
class PlainAdamW {
  private t = 0;
  private readonly m: Float64Array;
  private readonly v: Float64Array;
  constructor(
    readonly p: Float64Array,
    private readonly o: { learningRate: number; weightDecay: number; beta1: number; beta2: number; eps: number },
    private readonly store: (x: number) => number = (x) => x,
  ) {
    this.m = new Float64Array(p.length);
    this.v = new Float64Array(p.length);
  }

  update(g: ArrayLike<number>, factor: number): void {
    const { learningRate, weightDecay, beta1, beta2, eps } = this.o;
    const lr = learningRate * factor;
    this.t++;
    for (let i = 0; i < this.p.length; i++) {
      let p = this.p[i];
      p -= lr * weightDecay * p;
      this.m[i] = beta1 * this.m[i] + (1 - beta1) * g[i];
      this.v[i] = beta2 * this.v[i] + (1 - beta2) * g[i] ** 2;
      const mHat = this.m[i] / (1 - beta1 ** this.t);
      const vHat = this.v[i] / (1 - beta2 ** this.t);
      this.p[i] = this.store(p - (lr * mHat) / (Math.sqrt(vHat) + eps));
    }
  }
}

interface Spec {
  readonly shape: readonly number[];
  readonly metadata?: ParameterMetadata;
}

const specs: Record<string, Spec> = {
  'embedding.weight': { shape: [3, 2] },
  'mixer.A_log': { shape: [4], metadata: { weightDecay: false, learningRate: 0.003 } },
  'mixer.dt_proj.bias': { shape: [2], metadata: { learningRateScale: 0.5 } },
  'head.bias': { shape: [] },
  'mixer.frozen': { shape: [2], metadata: { trainable: false } },
};
const defaults = { learningRate: 0.02, weightDecay: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8 };
/** What metadata and groups come to. */
const settled: Record<string, { learningRate: number; weightDecay: number }> = {
  'embedding.weight': { learningRate: 0.02, weightDecay: 0.1 },
  'mixer.A_log': { learningRate: 0.003, weightDecay: 0 },
  'mixer.dt_proj.bias': { learningRate: 0.01, weightDecay: 0.2 },
  'head.bias': { learningRate: 0.05, weightDecay: 0 },
};
const groups: AdamWOptions['groups'] = [
  { match: /bias$/g, weightDecay: 0 },
  { match: (path, v) => path.startsWith('head') && v.size === 1, learningRate: 0.05 },
  { match: /dt_proj/, weightDecay: 0.2 },
];
const factors = [0.25, 0.5, 1, 1, 0.7];

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

function makeParameters(only: readonly string[] = Object.keys(specs)): Map<string, Variable> {
  return new Map(
    only.map((path, i) => {
      const { shape, metadata } = specs[path];
      return [path, parameter(tensor(fixedValues(sizeOf(shape), i), { shape }), metadata)];
    }),
  );
}

const gradientValues = (path: string, step: number): Float64Array =>
  fixedValues(sizeOf(specs[path].shape), 20 + step * 7 + Object.keys(specs).indexOf(path)).map(
    (x) => x * 10 ** (step - 2),
  );

/** Values after each of five updates. */
function plainRun(maxNorm: number | null): { values: Map<string, Float64Array>[]; norms: number[] } {
  const states = Object.entries(settled).map(([path, o]) => {
    const p = fixedValues(sizeOf(specs[path].shape), Object.keys(specs).indexOf(path));
    return [path, new PlainAdamW(p, { ...defaults, ...o })] as const;
  });
  const values: Map<string, Float64Array>[] = [];
  const norms: number[] = [];
  factors.forEach((factor, step) => {
    const gradients = new Map(states.map(([path]) => [path, gradientValues(path, step)]));
    const norm = Math.sqrt([...gradients.values()].reduce((s, g) => s + g.reduce((a, x) => a + x * x, 0), 0));
    const clip = maxNorm === null ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
    for (const [path, state] of states)
      state.update(
        (gradients.get(path) as Float64Array).map((g) => g * clip),
        factor,
      );
    norms.push(norm);
    values.push(new Map(states.map(([path, { p }]) => [path, p.slice()])));
  });
  return { values, norms };
}

const disposeAll = (...all: (readonly { dispose(): void }[])[]): void => all.flat().forEach((x) => x.dispose());

onEachDevice('AdamW', (on) => {
  for (const maxNorm of [null, 0.5]) {
    for (const compiled of [true, false]) {
      const how = `${maxNorm ? ' and clipping' : ''}, ${compiled ? 'compiled' : 'at once'}`;
      it(`5 updates by the formula, with groups${how}`, async () => {
        const parameters = makeParameters();
        const frozen = await (parameters.get('mixer.frozen') as Variable).data();
        const optimizer = new AdamW(parameters, { ...defaults, groups });
        expect(optimizer.paths).toEqual(Object.keys(settled));
        expect(optimizer.parameters).toEqual(optimizer.paths.map((path) => parameters.get(path)));
        const body = (...gradients: Tensor[]): Tensor => {
          if (maxNorm === null) {
            optimizer.update(gradients);
            return gradientNorm(gradients);
          }
          const clipped = clipGradientNorm(gradients, maxNorm);
          optimizer.update(clipped.gradients);
          return clipped.norm;
        };
        const step = compile(body);
        const expected = plainRun(maxNorm);
        for (let t = 0; t < factors.length; t++) {
          const gradients = optimizer.paths.map((path) =>
            tensor(gradientValues(path, t), { shape: specs[path].shape }),
          );
          optimizer.setScheduleFactor(factors[t]);
          const norm = compiled ? step(...gradients) : scope(() => body(...gradients).realize());
          expectClose([await norm.item()], [expected.norms[t]], on.tolerance);
          for (const [i, path] of optimizer.paths.entries()) {
            expectClose(
              await optimizer.parameters[i].data(),
              expected.values[t].get(path) as Float64Array,
              3 * on.tolerance,
            );
          }
          disposeAll(gradients, compiled ? [] : [norm]);
        }
        expect(await (parameters.get('mixer.frozen') as Variable).data()).toEqual(frozen);
        expect(await (optimizer.stateDict().get('step') as Variable).item()).toBe(5);
        disposeAll([step, optimizer], [...parameters.values()]);
        expect(on.device.memory().buffers).toBe(0);
      });
    }
  }

  it('a replay traces nothing and allocates nothing', async () => {
    const parameters = makeParameters(['embedding.weight']);
    const optimizer = new AdamW(parameters, defaults);
    const step = compile((g: Tensor) => optimizer.update([g]));
    const g = tensor(gradientValues('embedding.weight', 1), { shape: [3, 2] });
    step(g);
    await on.device.synchronize();
    const { allocations } = on.device.memory();
    const nodes = nodesCreated();
    for (const factor of factors) {
      optimizer.setScheduleFactor(factor);
      step(g);
    }
    expect([on.device.memory().allocations, nodesCreated()]).toEqual([allocations, nodes]);
    disposeAll([step, optimizer, g], [...parameters.values()]);
  });

  it('bfloat16 parameters: float32 moments and arithmetic, one rounding per update', async () => {
    const rounded = (x: number): number => fromBFloat16(toBFloat16(x));
    const initial = fixedValues(6, 3).map(rounded);
    const p = parameter(scope(() => tensor(initial).cast('bfloat16')));
    const optimizer = new AdamW(new Map([['p', p]]), defaults);
    expect([...optimizer.stateDict().values()].map((v) => v.dtype)).toEqual(['int32', 'float32', 'float32']);
    const step = compile((g: Tensor) => optimizer.update([g]));
    const plain = new PlainAdamW(initial.slice(), defaults, rounded);
    const exact = new PlainAdamW(initial.slice(), defaults);
    for (let t = 0; t < 5; t++) {
      const values = fixedValues(6, 40 + t);
      const g = tensor(values);
      step(g);
      plain.update(values, 1);
      exact.update(values, 1);
      g.dispose();
    }
    const actual = Array.from(await p.data());
    expectClose(actual, plain.p, 2 ** -9);
    expect(actual).toEqual(actual.map(rounded));
    expect(actual).not.toEqual(Array.from(exact.p));
    disposeAll([step, optimizer, p]);
  });

  it('a zero factor leaves parameters alone, moments still move', async () => {
    const parameters = makeParameters(['embedding.weight']);
    const optimizer = new AdamW(parameters, defaults);
    optimizer.setScheduleFactor(0);
    const g = tensor(gradientValues('embedding.weight', 2), { shape: [3, 2] });
    optimizer.update([g]);
    expect(Array.from(await optimizer.parameters[0].data())).toEqual(Array.from(fixedValues(6, 0)));
    const m = await (optimizer.stateDict().get('firstMoment.embedding.weight') as Variable).data();
    expectClose(
      m,
      gradientValues('embedding.weight', 2).map((x) => 0.1 * x),
      on.tolerance,
    );
    disposeAll([g, optimizer], [...parameters.values()]);
  });

  it('betas of 0 make it sign descent without memory', async () => {
    const p = parameter(tensor([1, 2, 3]));
    const optimizer = new AdamW(new Map([['p', p]]), { learningRate: 0.5, beta1: 0, beta2: 0, eps: 0, weightDecay: 0 });
    const g = tensor([2, -0.25, 7]);
    optimizer.update([g]);
    optimizer.update([g]);
    expectClose(await p.data(), [0, 3, 2], on.tolerance);
    disposeAll([g, optimizer, p]);
  });

  it('trains a tied variable once', () => {
    const p = parameter(tensor([1]));
    const optimizer = new AdamW(
      new Map([
        ['embedding.weight', p],
        ['lm_head.weight', p],
      ]),
      defaults,
    );
    expect(optimizer.paths).toEqual(['embedding.weight']);
    disposeAll([optimizer, p]);
  });

  it('refuses bad settings and gradients by name, and stays usable', async () => {
    const parameters = makeParameters();
    const make = (options: Partial<AdamWOptions>): AdamW => new AdamW(parameters, { ...defaults, ...options });
    const odd = parameter(tensor([1]), { learningRate: -1 });
    const { buffers } = on.device.memory();
    const refusals: [() => unknown, string][] = [
      [() => make({ learningRate: Number.NaN }), 'AdamW: learningRate is NaN, expected a finite number >= 0'],
      [() => make({ learningRate: -0.1 }), 'AdamW: learningRate is -0.1, expected a finite number >= 0'],
      [() => make({ beta1: 1 }), 'AdamW: beta1 is 1, expected a finite number in [0, 1)'],
      [() => make({ beta2: -0.1 }), 'AdamW: beta2 is -0.1, expected a finite number in [0, 1)'],
      [() => make({ eps: Number.POSITIVE_INFINITY }), 'AdamW: eps is Infinity, expected a finite number >= 0'],
      [() => make({ weightDecay: -1 }), 'AdamW: weightDecay is -1, expected a finite number >= 0'],
      [
        () => make({ groups: [{ match: /a/, learningRate: Number.NaN }] }),
        'AdamW: groups[0].learningRate is NaN, expected a finite number >= 0',
      ],
      [
        () => make({ groups: [{ match: /bais/ }] }),
        'AdamW: groups[0] matches no parameter (/bais/), expected at least one of 5',
      ],
      [
        () => make({ groups: [{ match: /./, trainable: false }] }),
        'AdamW: parameters has none to train, expected at least one',
      ],
      [() => new AdamW(new Map(), defaults), 'AdamW: parameters has none to train, expected at least one'],
      [
        () => new AdamW(new Map([['odd', odd]]), defaults),
        'AdamW: learningRate of odd is -1, expected a finite number >= 0',
      ],
      [() => clipGradientNorm([odd], 0), 'clipGradientNorm: maxNorm is 0, expected a finite number > 0'],
      [() => clipGradientNorm([odd], Number.NaN), 'clipGradientNorm: maxNorm is NaN, expected a finite number > 0'],
      [() => gradientNorm([]), 'gradientNorm: gradients is empty, expected at least one'],
    ];
    for (const [act, message] of refusals)
      expect(act, message).toThrow(expect.objectContaining({ name: 'OutOfRangeError', message }));
    const counter = parameter(tensor([1], { dtype: 'int32' }));
    expect(() => new AdamW(new Map([['counter', counter]]), defaults)).toThrow(
      expect.objectContaining({
        name: 'DTypeError',
        message: 'AdamW: counter is int32, expected a float type, or trainable: false',
      }),
    );
    counter.dispose();
    expect(on.device.memory().buffers).toBe(buffers);
    const optimizer = make({});
    const g = tensor([1, 2, 3]);
    expect(() => optimizer.update([g])).toThrow(
      expect.objectContaining({
        name: 'ShapeError',
        message: 'AdamW: gradients has 1 entries, expected 4, one per parameter',
      }),
    );
    expect(() => optimizer.update([g, g, g, g])).toThrow(
      expect.objectContaining({
        name: 'ShapeError',
        message: 'AdamW: gradients[0] has shape (3), expected (3, 2) as embedding.weight has',
      }),
    );
    expect(() => optimizer.setScheduleFactor(Number.NaN)).toThrow(
      /setScheduleFactor: factor is NaN, expected a finite number >= 0/,
    );
    expect(await (optimizer.stateDict().get('step') as Variable).item()).toBe(0);
    disposeAll([g, odd, optimizer], [...parameters.values()]);
  });
});

describe('gradient clipping', () => {
  onEachDevice('clipGradientNorm', (on) => {
    it('leaves small gradients as they are and cuts large ones to the norm', async () => {
      for (const [size, expected] of [
        [0.01, 0.01],
        [3, 1],
      ]) {
        const g = [tensor([size * 0.6, 0]), tensor([[0], [size * 0.8]])];
        const { gradients, norm } = clipGradientNorm(g, 1);
        realize(norm, ...gradients);
        expectClose([await norm.item()], [size], on.tolerance);
        const values = [...(await gradients[0].data()), ...(await gradients[1].data())];
        const scale = expected === size ? size : size / (size + 1e-6);
        expectClose(values, [0.6 * scale, 0, 0, 0.8 * scale], on.tolerance);
        disposeAll(gradients, g, [norm]);
      }
    });
  });
});

import {
  Conv1d,
  Embedding,
  initialized,
  initializers,
  LayerNorm,
  Linear,
  metadataOf,
  Module,
  parameter,
} from '@mamba-ts/nn';
import { RandomGenerator, ones, tensor, type Variable } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { onEachDevice } from './devices';

class Inner extends Module {
  readonly A_log: Variable;
  readonly D: Variable = parameter(ones([2]), { weightDecay: false });
  constructor() {
    super();
    this.A_log = parameter(tensor([1, 2]), { weightDecay: false, learningRate: 1e-3 });
  }
}

class Mixer extends Module {
  protected override readonly inlined = ['ssm'];
  readonly in_proj: Linear;
  readonly conv1d: Conv1d;
  readonly ssm: Inner = new Inner();
  constructor(random: RandomGenerator) {
    super();
    this.in_proj = new Linear(2, 4, random, { bias: false });
    this.conv1d = new Conv1d(2, 4, random);
  }
}

class Model extends Module {
  readonly embedding: Embedding;
  readonly layers: readonly Mixer[];
  readonly norm_f: LayerNorm = new LayerNorm(2);
  readonly lm_head: Linear;
  readonly frozen: Variable;
  readonly dModel: number = 2;
  constructor(random: RandomGenerator) {
    super();
    this.embedding = new Embedding(5, 2, random);
    this.layers = [new Mixer(random), new Mixer(random)];
    this.lm_head = new Linear(2, 5, random, { bias: false });
    this.frozen = initialized([3], random, initializers.constant(2), { trainable: false });
    // Tied: one variable, two paths.
    this.lm_head.weight.dispose();
    (this.lm_head as { weight: Variable }).weight = this.embedding.weight;
  }
}

onEachDevice('Module', (on) => {
  it('names variables by fields, positions and inlined modules, as checkpoints do', () => {
    const random = new RandomGenerator(1);
    const model = new Model(random);
    const mixer = (i: number): string[] =>
      ['in_proj.weight', 'conv1d.weight', 'conv1d.bias', 'A_log', 'D'].map((name) => `layers.${i}.${name}`);
    const rest = ['embedding.weight', ...mixer(0), ...mixer(1), 'norm_f.weight', 'norm_f.bias'];
    expect([...model.stateDict().keys()].sort()).toEqual(['frozen', ...rest, 'lm_head.weight'].sort());
    expect([...model.parameters().keys()].sort()).toEqual([...rest].sort());
    expect(model.stateDict().get('lm_head.weight')).toBe(model.embedding.weight);
    expect(model.stateDict().get('layers.1.A_log')).toBe(model.layers[1].ssm.A_log);
    expect(model.parameterCount()).toBe(10 + 2 * (8 + 8 + 2 + 2 + 2) + 4);
    expect(model.layers[0].conv1d.weight.shape).toEqual([2, 1, 4]);
    expect(metadataOf(model.layers[0].ssm.A_log)).toEqual({ weightDecay: false, learningRate: 1e-3 });
    model.dispose();
    random.dispose();
    expect(on.device.memory().buffers).toBe(0);
  });

  it('train() reaches every module', () => {
    const random = new RandomGenerator(1);
    const model = new Model(random);
    expect(model.train(false)).toBe(model);
    expect([model.training, model.layers[1].training, model.layers[1].ssm.training, model.lm_head.training]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(model.train().layers[0].conv1d.training).toBe(true);
    model.dispose();
    model.dispose();
    random.dispose();
  });
});

describe('Module', () => {
  it('refuses two variables of one path', async () => {
    const { reference } = await import('@mamba-ts/tensor');
    const device = await reference();
    class Part extends Module {
      readonly D: Variable = parameter(ones([1], { device }));
    }
    class Clash extends Module {
      protected override readonly inlined = ['part'];
      readonly D: Variable = parameter(ones([1], { device }));
      readonly part: Part = new Part();
    }
    expect(() => new Clash().stateDict()).toThrow(
      expect.objectContaining({
        name: 'TensorError',
        message: 'stateDict: two variables have the path D (is a field inlined beside its namesake?)',
      }),
    );
    device.dispose();
  });
});

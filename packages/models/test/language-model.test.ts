import { type LayerState, S4D } from '@mamba-ts/ssm';
import {
  type Device,
  OutOfRangeError,
  RandomGenerator,
  reference,
  scope,
  ShapeError,
  type Tensor,
  tensor,
} from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  blocks,
  LanguageModel,
  type LanguageModelConfig,
  layers,
  parameterCount,
  parameterShapes,
} from '@mamba-ts/models';
import { floatDevices } from './devices';
import { disposeEmpty, evaluate } from './harness';

// What a user of another package writes to add a kind of layer.
declare module '@mamba-ts/models' {
  interface LayerConfigs {
    readonly mine: { readonly modes: number };
  }
}

const small: LanguageModelConfig = {
  vocabSize: 11,
  dModel: 6,
  nLayer: 2,
  block: 'mamba',
  layer: { kind: 's6', dState: 3 },
};

for (const [name, create] of Object.entries({ reference, ...floatDevices })) {
  describe(`LanguageModel on ${name}`, () => {
    let device: Device;
    const tolerance = name === 'reference' ? 1e-10 : 3e-5;
    beforeAll(async () => {
      device = await create();
    });
    afterAll(() => {
      disposeEmpty(device);
    });

    const withModel = async (
      config: LanguageModelConfig,
      body: (model: LanguageModel) => Promise<void> | void,
    ): Promise<void> => {
      const random = new RandomGenerator(5, device);
      const model = new LanguageModel(config, random);
      random.dispose();
      await body(model);
      model.dispose();
    };
    const ids = (rows: readonly (readonly number[])[]): Tensor =>
      tensor(rows as number[][], { dtype: 'int32', device });
    const expectClose = (actual: readonly number[], expected: readonly number[]): void => {
      expect(actual.length).toBe(expected.length);
      const size = Math.max(...expected.map(Math.abs));
      actual.forEach((v, i) =>
        expect(Math.abs(v - expected[i]) / size, `value ${i}: ${v}, expected ${expected[i]}`).toBeLessThan(tolerance),
      );
    };
    const rows = [
      [1, 5, 2, 0, 7, 3, 3, 10, 9],
      [4, 4, 6, 8, 1, 0, 2, 5, 7],
    ];

    // Every pair of the two lists: the ablation of table 6.
    for (const block of Object.keys(blocks) as ('plain' | 'mamba')[]) {
      for (const layer of Object.keys(layers) as ('s6' | 's4d' | 'hyena')[]) {
        // A convolution has no states.
        it(`${block} with ${layer}: steps, prefill in chunks and forward agree`, async () => {
          await withModel(
            { ...small, block, layer: layer === 'hyena' ? layer : { kind: layer, dState: 4 }, norm: layer === 's6' ? 'rms' : 'layer' },
            async (model) => {
              const whole = await evaluate(() => model.forward(ids(rows)));
              expect(whole.length).toBe(2 * 9 * 16);
              const at = (t: number): number[] =>
                [0, 1].flatMap((b) => whole.slice((b * 9 + t) * 16, (b * 9 + t + 1) * 16));
              const stepped = await evaluate(() => {
                let state: LayerState = model.initialState(2);
                let logits: Tensor | null = null;
                for (let t = 0; t < 9; t++)
                  [logits, state] = model.step(tensor([rows[0][t], rows[1][t]], { dtype: 'int32', device }), state);
                return logits as Tensor;
              });
              expectClose(stepped, at(8));
              const chunked = await evaluate(() => {
                const [, first] = model.prefill(ids(rows.map((r) => r.slice(0, 4))));
                const [, second] = model.prefill(ids(rows.map((r) => r.slice(4, 5))), first);
                return model.prefill(ids(rows.map((r) => r.slice(5))), second, { logits: 'last' })[0];
              });
              expectClose(chunked, at(8));
              const all = await evaluate(() => model.prefill(ids(rows))[0]);
              expectClose(all, whole);
            },
          );
        });
      }
    }

    it('runs packed sequences apart', async () => {
      await withModel(small, async (model) => {
        const resets = (): Tensor =>
          ids([
            [0, 0, 0, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 0, 0, 0, 0],
          ]);
        const packed = await evaluate(() => model.forward(ids(rows), { resets: resets() }).slice(1, 4));
        const alone = await evaluate(() => model.forward(ids(rows.map((r) => r.slice(4)))));
        expectClose(packed, alone);
      });
    });

    it('gives the mean loss over the targets that count', async () => {
      await withModel(small, async (model) => {
        const targets = rows.map((r) => [...r.slice(1), -100]);
        const [loss] = await evaluate(() => model.loss(ids(rows), ids(targets)).reshape(1));
        const logits = await evaluate(() => model.forward(ids(rows)));
        let expected = 0;
        targets.flat().forEach((target, i) => {
          if (target < 0) return;
          const row = logits.slice(i * 16, (i + 1) * 16);
          expected += Math.log(row.reduce((s, v) => s + Math.exp(v), 0)) - row[target];
        });
        expect(Math.abs(loss / (expected / 16) - 1)).toBeLessThan(tolerance);
      });
    });

    it('refuses ids outside the table when it computes', async () => {
      await withModel(small, async (model) => {
        const bad = ids([[1, 16]]);
        await expect(evaluate(() => model.forward(bad))).rejects.toThrow(OutOfRangeError);
        bad.dispose();
      });
    });
  });
}

describe('LanguageModel', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => {
    disposeEmpty(device);
  });
  const build = (config: LanguageModelConfig): LanguageModel => {
    const random = new RandomGenerator(5, device);
    try {
      return new LanguageModel(config, random);
    } finally {
      random.dispose();
    }
  };

  it('has the parameter paths and shapes of the released checkpoints', () => {
    const model = build({ ...small, nLayer: 1, dModel: 20 });
    const mixer = 'backbone.layers.0.mixer';
    expect(Object.fromEntries([...model.stateDict()].map(([path, v]) => [path, v.shape]))).toEqual({
      'backbone.embedding.weight': [16, 20],
      'backbone.layers.0.norm.weight': [20],
      [`${mixer}.in_proj.weight`]: [80, 20],
      [`${mixer}.conv1d.weight`]: [40, 1, 4],
      [`${mixer}.conv1d.bias`]: [40],
      [`${mixer}.x_proj.weight`]: [2 + 6, 40],
      [`${mixer}.dt_proj.weight`]: [40, 2],
      [`${mixer}.dt_proj.bias`]: [40],
      [`${mixer}.A_log`]: [40, 3],
      [`${mixer}.D`]: [40],
      [`${mixer}.out_proj.weight`]: [20, 40],
      'backbone.norm_f.weight': [20],
      'lm_head.weight': [16, 20],
    });
    expect(model.lm_head.weight).toBe(model.backbone.embedding.weight);
    expect([...model.parameters().keys()]).not.toContain('lm_head.weight');
    model.dispose();
  });

  it('unties the head, pads the vocabulary and takes layer norms on request', () => {
    const model = build({ ...small, tieEmbeddings: false, padVocabSizeMultiple: 5, norm: 'layer' });
    expect(model.lm_head.weight).not.toBe(model.backbone.embedding.weight);
    expect([model.vocabSize, model.paddedVocabSize]).toEqual([11, 15]);
    expect([...model.parameters().keys()]).toEqual(
      expect.arrayContaining(['lm_head.weight', 'backbone.norm_f.bias', 'backbone.layers.1.norm.bias']),
    );
    model.dispose();
  });

  it('is the same for the same seed, and starts with an embedding of deviation 0.02', () => {
    const [a, b] = [build({ ...small, vocabSize: 400 }), build({ ...small, vocabSize: 400 })];
    for (const [path, v] of a.stateDict()) expect(v.dataSync(), path).toEqual(b.stateDict().get(path)?.dataSync());
    const table = Array.from(a.backbone.embedding.weight.dataSync());
    expect(Math.sqrt(table.reduce((s, v) => s + v * v, 0) / table.length)).toBeCloseTo(0.02, 3);
    a.dispose();
    b.dispose();
  });

  it('counts parameters without building them', () => {
    for (const config of [
      small,
      { ...small, tieEmbeddings: false },
      { ...small, block: 'plain', layer: 's4d' } as const,
      { ...small, layer: { kind: 's4d', init: 'real' } } as const,
    ]) {
      const model = build(config);
      expect(parameterCount(config)).toBe(model.parameterCount());
      expect([...parameterShapes(config)]).toEqual([...model.parameters()].map(([path, v]) => [path, v.shape]));
      model.dispose();
    }
  });

  it('takes one more kind of layer as one more entry of the list', () => {
    layers.mine = (config, { width, random }) => new S4D({ dModel: width, dState: 2 * config.modes }, random);
    const model = build({ ...small, layer: { kind: 'mine', modes: 3 } });
    expect(model.stateDict().get('backbone.layers.0.mixer.kernel.A_real')?.shape).toEqual([12, 3]);
    model.dispose();
    delete (layers as Partial<typeof layers>).mine;
  });

  it.each([
    [{ vocabSize: 0 }, /vocabSize is 0/],
    [{ nLayer: 1.5 }, /nLayer is 1.5/],
    [{ layer: 's5' as never }, /layer: kind is "s5", expected one of s6, s4d/],
    [{ block: { kind: 'mamba', expnd: 3 } as never }, /mamba block: expnd is no setting/],
    [{ block: { kind: 'mamba', expand: 0.3 } as const }, /expand is 0.3/],
    [{ layer: { kind: 's6', dstate: 3 } as never }, /S6: dstate is no setting/],
    [{ norm: 'batch' as never }, /norm is "batch"/],
    [{ dmodel: 3 } as never, /LanguageModel: dmodel is no setting/],
    [{ layer: { kind: 's4d', dState: 3 } as const }, /S4D: dState is 3, expected an even/],
    [{ block: { kind: 'plain', expand: 2 } as never }, /plain block: expand is no setting/],
    [{ normEpsilon: Number.NaN }, /normEpsilon is NaN/],
    [{ block: 'constructor' as never }, /block: kind is "constructor"/],
  ])('refuses %o and leaves no memory behind', (change, message) => {
    const before = device.memory().buffers;
    expect(() => build({ ...small, ...(change as object) })).toThrow(message);
    expect(() => build({ ...small, ...(change as object) })).toThrow(OutOfRangeError);
    expect(device.memory().buffers).toBe(before);
  });

  it('refuses ids of the wrong rank or type', () => {
    const model = build(small);
    scope(() => {
      expect(() => model.forward(tensor([1, 2], { dtype: 'int32', device }))).toThrow(ShapeError);
      expect(() => model.forward(tensor([[1.5, 2]], { device }))).toThrow(/ids is float32/);
      expect(() => model.step(tensor([[1]], { dtype: 'int32', device }), model.initialState(1))).toThrow(ShapeError);
    });
    model.dispose();
  });
});

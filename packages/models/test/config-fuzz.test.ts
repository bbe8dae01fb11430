import { OutOfRangeError, RandomGenerator, TensorError } from '@mamba-ts/tensor';
import { fuzz, Mutator } from '@mamba-ts/vitest-preset/fuzz';
import { expect, test } from 'vitest';
import { type CheckpointFormat, checkpointFormats, formatForModel, formatOfConfig, LanguageModel, type LanguageModelConfig, mamba2Models, mambaModels, shapeDevice } from '../src/index';

const mutations = 100_000;

/** config.json of every family and layout: released models, and those models written in the other layout. */
function seedsOf(format: CheckpointFormat): unknown[] {
  const official = [...Object.values(mambaModels), ...Object.values(mamba2Models)];
  if (format.layout === 'official') return official.filter((config) => format.recognizes(config as never));
  const models = official.map((config): LanguageModelConfig => formatOfConfig(config).readConfig(config));
  return models.filter((model) => format.describes(model)).map((model) => format.writeConfig(model));
}

/** Values that fit some field of some config. */
const plausible: readonly unknown[] = ['mamba', 'mamba2', 'Mamba1', 'Mamba2', 'auto', 'silu', 'random', 'constant', 'silu ', [1, 2], [0, 'Infinity'], { layer: 'Mamba2' }, 64, 128, 768, 1e-5];

for (const format of checkpointFormats) {
  test(`${mutations} mutated config.json of ${format.family} (${format.layout}): read, or refused with an OutOfRangeError`, async () => {
    const mutator = new Mutator(7);
    const seeds = seedsOf(format);
    expect(seeds.length).toBeGreaterThan(0);
    const report = await fuzz({
      count: mutations,
      input: () => mutator.json(mutator.pick(seeds), plausible),
      read: (config) => {
        const model = format.readConfig(config);
        const { nLayer, dModel, vocabSize } = model;
        for (const size of [nLayer, dModel, vocabSize]) if (!Number.isFinite(size)) throw new Error(`read ${JSON.stringify(model)}`);
        // What was read can be written again, unless it is more than the layout has words for.
        formatForModel(model, format.layout).writeConfig(model);
      },
      typed: [OutOfRangeError],
    });
    expect(report.accepted).toBeGreaterThan(mutations / 100);
    expect(report.accepted).toBeLessThan(mutations);
    expect(report.heapGrowth).toBeLessThan(256 * 2 ** 20);
    expect(report.slowest).toBeLessThan(5000);
  }, 600_000);
}

test('config.json of no known family is refused by what it says', async () => {
  const mutator = new Mutator(8);
  const seeds = checkpointFormats.flatMap(seedsOf);
  const report = await fuzz({
    count: 20_000,
    input: () => mutator.json(mutator.pick(seeds), plausible),
    read: (config) => void formatOfConfig(config),
    typed: [OutOfRangeError],
  });
  expect(report.refused.get('OutOfRangeError') ?? 0).toBeGreaterThan(100);
}, 600_000);

test('a model of absurd sizes is refused with a typed error, or is a matter of memory alone', async () => {
  const small = { d_model: 8, n_layer: 1, vocab_size: 16 };
  const huge = [2 ** 31, 2 ** 32, 2 ** 53 - 1];
  const absurd = huge.flatMap((n) => [
    { ...small, d_model: n }, { ...small, n_layer: n }, { ...small, vocab_size: n }, { ...small, pad_vocab_size_multiple: n },
    ...['d_state', 'd_conv', 'expand', 'dt_rank'].map((name) => ({ ...small, ssm_cfg: { [name]: n } })),
    ...['d_state', 'd_conv', 'expand', 'headdim'].map((name) => ({ ...small, ssm_cfg: { layer: 'Mamba2', headdim: 4, [name]: n } })),
  ]);
  const device = shapeDevice();
  const random = new RandomGenerator(0, device);
  // The device counts memory and has none: what gets through here is refused by a real one.
  const report = await fuzz({
    count: absurd.length,
    input: (i) => absurd[i],
    read: (config) => new LanguageModel(formatOfConfig(config).readConfig(config), random).dispose(),
    typed: [TensorError],
  });
  expect(report.accepted).toBeLessThan(absurd.length / 2);
  expect(report.heapGrowth).toBeLessThan(256 * 2 ** 20);
  device.dispose();
});

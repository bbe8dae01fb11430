import type { LanguageModelConfig } from '@mamba-ts/models';
import { AdamW, clipGradientNorm, type Precision } from '@mamba-ts/nn';
import { compile, grad, scope, tensor, type Variable, variable } from '@mamba-ts/tensor';
import type { Measurement } from '../results';
import { measureQueued, type ModelBenchmark, programNote, randomModel, released, reportOf } from './benchmark';

interface TrainingRun {
  readonly name: string;
  readonly config: () => LanguageModelConfig;
  readonly parameters: number;
  readonly batch: number;
  readonly length: number;
  readonly precision: Precision;
  readonly memoryGiB: number;
  readonly bar: NonNullable<Measurement['bar']>;
  readonly official: string;
}

const small = (): LanguageModelConfig => ({ vocabSize: 256, dModel: 64, nLayer: 2, block: 'mamba', layer: 's6' });

/** Forward, backward, clipping and AdamW in one compiled step. */
function training({ name, config, parameters, batch, length, precision, memoryGiB, bar, official }: TrainingRun): ModelBenchmark {
  return {
    name,
    memoryGiB,
    teraflop: (6 * parameters * batch * length) / 1e12,
    async run(device, options) {
      const model = randomModel(config());
      const optimizer = new AdamW(model.parameters(), { learningRate: 1e-4, weightDecay: 0.1 });
      const tokens = (offset: number): Variable =>
        scope(() =>
          variable(tensor(Int32Array.from({ length: batch * length }, (_, i) => ((i + offset) * 7919) % model.vocabSize), { shape: [batch, length] })),
        );
      const [ids, targets] = [tokens(0), tokens(1)];
      const step = compile(() => {
        const loss = model.loss(ids, targets, { precision });
        const { gradients } = clipGradientNorm(grad(loss, optimizer.parameters), 1);
        optimizer.update(gradients);
        return loss;
      });
      const first = await step().item();
      const timing = await measureQueued(device, () => void step(), options);
      const last = await step().item();
      if (!(last < first)) throw new Error(`${name}: the loss went from ${first} to ${last}, expected it to fall`);
      const report = await reportOf(device, step, options);
      for (const t of [step, optimizer, ids, targets, model]) t.dispose();
      const rate = { value: (1000 * batch * length) / timing.median, unit: 'tokens/s' };
      return { measurement: { name, threads: 1, timing, rate, bar, note: programNote(report, official) }, report };
    },
  };
}

export const trainingBenchmarks: readonly ModelBenchmark[] = [
  training({
    ...{ name: 'training step, 2 layers, D=64, B=8, L=256', config: small, parameters: 81e3, batch: 8, length: 256 },
    ...{ precision: 'float32', memoryGiB: 1, bar: { atMostMs: 0.7 }, official: '7.2 ms' },
  }),
  training({
    ...{ name: 'training step, 2 layers, D=64, B=64, L=4096', config: small, parameters: 81e3, batch: 64, length: 4096 },
    ...{ precision: 'float32', memoryGiB: 24, bar: { atMostMs: 7 }, official: '13.3 ms' },
  }),
  training({
    ...{ name: 'training mamba-130m, B=8, L=2048, bfloat16', config: () => released('mamba-130m'), parameters: 129e6, batch: 8, length: 2048 },
    ...{ precision: 'bfloat16', memoryGiB: 70, bar: { atLeastRate: 163500 }, official: '163,500 tokens/s' },
  }),
];

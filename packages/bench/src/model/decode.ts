import { convertWeights } from '@mamba-ts/nn';
import { argmax, compile, scope, tensor, variable } from '@mamba-ts/tensor';
import type { Measurement } from '../results';
import { measureQueued, type ModelBenchmark, programNote, randomModel, released, reportOf } from './benchmark';

interface DecodeBar {
  readonly bar: Measurement['bar'];
  readonly official: string;
}

/**
 * A compiled step: a token a sequence, greedy sampling and the state in place, with bfloat16 weights. Many rows go to the tensor cores, rounded to
 * bfloat16 too; one row is bound by reading the weights and stays float32.
 */
function decode(model: 'mamba-130m' | 'mamba-1.4b', batch: number, parameters: number, { bar, official }: DecodeBar): ModelBenchmark {
  const precision = batch > 8 ? 'bfloat16' : 'float32';
  const name = `decode ${model}, B=${batch}, bfloat16`;
  return {
    name,
    memoryGiB: (6 * parameters) / 2 ** 30 + 1,
    teraflop: (2 * parameters * batch) / 1e12,
    async run(device, options) {
      const lm = randomModel(released(model));
      convertWeights(lm, 'bfloat16');
      const { state, token } = scope(() => ({
        state: Object.fromEntries(Object.entries(lm.initialState(batch)).map(([key, t]) => [key, variable(t)])),
        token: variable(tensor(Int32Array.from({ length: batch }, (_, i) => i))),
      }));
      const step = compile(() => {
        const [logits, next] = lm.step(token, state, { precision });
        for (const [key, v] of Object.entries(state)) v.assign(next[key]);
        const chosen = argmax(logits.slice(1, 0, lm.vocabSize));
        token.assign(chosen);
        return chosen;
      });
      const timing = await measureQueued(device, () => void step(), options);
      const report = await reportOf(device, step, options);
      for (const t of [step, token, ...Object.values(state), lm]) t.dispose();
      const rate = { value: (1000 * batch) / timing.median, unit: 'tokens/s' };
      return { measurement: { name, threads: 1, timing, rate, bar, note: programNote(report, official) }, report };
    },
  };
}

export const decodeBenchmarks: readonly ModelBenchmark[] = [
  decode('mamba-130m', 1, 129e6, { bar: { atMostMs: 0.37 }, official: '0.741 ms' }),
  decode('mamba-1.4b', 1, 1372e6, { bar: { atMostMs: 1.1 }, official: '2.13 ms' }),
  decode('mamba-1.4b', 64, 1372e6, { bar: { atLeastRate: 24000 }, official: '12,109 tokens/s' }),
];

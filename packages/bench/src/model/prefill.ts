import { convertWeights } from '@mamba-ts/nn';
import { compile, scope, tensor, variable } from '@mamba-ts/tensor';
import { measureQueued, type ModelBenchmark, programNote, randomModel, released, reportOf } from './benchmark';

const [batch, length] = [8, 512];
const name = `prefill mamba-130m, B=${batch}×${length}, bfloat16`;

/** Prompts read at once: the state after them and the logits of the last position. */
export const prefillBenchmark: ModelBenchmark = {
  name,
  memoryGiB: 4,
  teraflop: (2 * 129e6 * batch * length) / 1e12,
  async run(device, options) {
    const model = randomModel(released('mamba-130m'));
    convertWeights(model, 'bfloat16');
    const ids = scope(() => variable(tensor(Int32Array.from({ length: batch * length }, (_, i) => (i * 7919) % model.vocabSize), { shape: [batch, length] })));
    const step = compile(() => {
      const [logits, state] = model.prefill(ids, undefined, { logits: 'last', precision: 'bfloat16' });
      return { logits, ...state };
    });
    const timing = await measureQueued(device, () => void step(), options);
    const report = await reportOf(device, step, options);
    for (const t of [step, ids, model]) t.dispose();
    const rate = { value: (1000 * batch * length) / timing.median, unit: 'tokens/s' };
    return { measurement: { name, threads: 1, timing, rate, bar: { atMostMs: 8 }, note: programNote(report, '14.2 ms') }, report };
  },
};

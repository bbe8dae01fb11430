import { LanguageModel } from '@mamba-ts/models';
import { AdamW, clipGradientNorm } from '@mamba-ts/nn';
import { compile, type Device, grad, nodesCreated, RandomGenerator, scope, tensor, type Variable, variable } from '@mamba-ts/tensor';
import { measure } from '../measure';
import type { CpuBenchmark } from './benchmark';

const [batch, length, vocabulary] = [8, 256, 256];

function tokens(offset: number, device: Device): Variable {
  const ids = Int32Array.from({ length: batch * length }, (_, i) => (i * 31 + offset + (i % 7) * 11) % vocabulary);
  return scope(() => variable(tensor(ids, { shape: [batch, length], device })));
}

/** Forward, backward, clipping and AdamW of a 2-layer Mamba of width 64 on byte tokens. Fails if a replayed step allocates or traces. */
export const trainingStepBenchmarks: readonly CpuBenchmark[] = [
  {
    name: 'training step',
    run: (device, threads) => {
      const random = new RandomGenerator(1);
      const model = new LanguageModel({ vocabSize: vocabulary, dModel: 64, nLayer: 2, block: 'mamba', layer: 's6' }, random);
      const optimizer = new AdamW(model.parameters(), { learningRate: 1e-3, weightDecay: 0.1 });
      const [ids, targets] = [tokens(0, device), tokens(1, device)];
      const step = compile((x, y) => {
        const loss = model.loss(x, y);
        const { gradients } = clipGradientNorm(grad(loss, optimizer.parameters), 1);
        optimizer.update(gradients);
        return loss;
      });
      step(ids, targets);
      const before = { nodes: nodesCreated(), allocations: device.memory().allocations };
      const timing = measure(() => void step(ids, targets), { budget: 4000 });
      const after = { nodes: nodesCreated(), allocations: device.memory().allocations };
      if (after.nodes !== before.nodes || after.allocations !== before.allocations) {
        throw new Error(`training step: replays made ${after.nodes - before.nodes} graph nodes and ${after.allocations - before.allocations} allocations, expected none`);
      }
      const [report] = step.explain();
      for (const t of [step, optimizer, model, random, ids, targets]) t.dispose();
      return [
        {
          name: 'training step, Mamba 2 layers, D=64, B=8, L=256',
          threads,
          timing,
          rate: { value: (batch * length) / timing.median, unit: 'k tokens/s' },
          bar: threads >= 2 ? { atMostMs: 150 } : undefined,
          note: `${report.kernels} kernels, ${report.routines} routines, arena ${(report.arenaBytes / 2 ** 20).toFixed(1)} MiB`,
        },
      ];
    },
  },
];

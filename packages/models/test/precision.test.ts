import { LanguageModel } from '@mamba-ts/models';
import { AdamW, type Precision } from '@mamba-ts/nn';
import { compile, type Device, grad, RandomGenerator, reference, scope, setDefaultDevice, tensor, variable } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatDevices } from './devices';
import { disposeEmpty } from './harness';

const [batch, length] = [4, 8];

/** Losses of a small training run: a fixed batch of a periodic sequence. */
async function lossCurve(precision: Precision, steps: number): Promise<number[]> {
  const random = new RandomGenerator(3);
  const model = new LanguageModel({ vocabSize: 13, dModel: 16, nLayer: 2, block: 'mamba', layer: { kind: 's6', dState: 4 } }, random);
  const optimizer = new AdamW(model.parameters(), { learningRate: 5e-3 });
  const [ids, targets] = [0, 1].map((offset) =>
    scope(() => variable(tensor(Int32Array.from({ length: batch * length }, (_, i) => ((i + offset) * 7) % 13), { shape: [batch, length] }))),
  );
  const step = compile(() => {
    const loss = model.loss(ids, targets, { precision });
    optimizer.update(grad(loss, optimizer.parameters));
    return loss;
  });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await step().item());
  for (const weight of model.parameters().values()) expect(weight.dtype).toBe('float32');
  for (const t of [step, optimizer, model, random, ids, targets]) t.dispose();
  return losses;
}

for (const [name, create] of Object.entries({ reference, ...floatDevices })) {
  describe(`mixed precision on ${name}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await create();
      setDefaultDevice(device);
    });
    afterAll(() => {
      disposeEmpty(device);
    });

    it('training in bfloat16 follows the float32 loss curve', async () => {
      const steps = name === 'reference' ? 6 : 25;
      const full = await lossCurve('float32', steps);
      const mixed = await lossCurve('bfloat16', steps);
      expect(full[steps - 1]).toBeLessThan(0.9 * full[0]);
      expect(mixed).not.toEqual(full);
      mixed.forEach((loss, i) => expect(Math.abs(loss - full[i]) / full[i], `step ${i}`).toBeLessThan(0.02));
    });
  });
}

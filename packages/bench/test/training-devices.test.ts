import { existsSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { openDevice } from '@mamba-ts/devices';
import { LanguageModel } from '@mamba-ts/models';
import { AdamW, clipGradientNorm } from '@mamba-ts/nn';
import { compile, type Device, grad, RandomGenerator, setDefaultDevice, tensor } from '@mamba-ts/tensor';

// A software WebGPU adapter comes with Debian's chromium.
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_DRIVER_FILES && existsSync(software)) process.env.VK_DRIVER_FILES = software;
process.env.XDG_RUNTIME_DIR ??= '/tmp';

const steps = 50;
const [batch, length, vocabulary] = [2, 11, 13];

/** Losses of a compiled training run of a small Mamba: embedding, two blocks, tied head, clipping, AdamW. */
async function losses(device: Device): Promise<number[]> {
  setDefaultDevice(device);
  const random = new RandomGenerator(3, device);
  const model = new LanguageModel({ vocabSize: vocabulary, dModel: 12, nLayer: 2, block: 'mamba', layer: { kind: 's6', dState: 5 } }, random);
  const optimizer = new AdamW(model.parameters(), { learningRate: 3e-3, weightDecay: 0.1 });
  const ids = (shift: number): Int32Array => Int32Array.from({ length: batch * length }, (_, i) => ((i + shift) * 5 + ((i + shift) % 4)) % vocabulary);
  const [x, y] = [0, 1].map((shift) => tensor(ids(shift), { shape: [batch, length], device }));
  const step = compile(() => {
    const loss = model.loss(x, y);
    const { gradients } = clipGradientNorm(grad(loss, optimizer.parameters), 1);
    optimizer.update(gradients);
    return loss;
  });
  const values: number[] = [];
  for (let i = 0; i < steps; i++) values.push(await step().item());
  return values;
}

describe(`${steps} compiled training steps of a small Mamba`, async () => {
  const devices: Device[] = [];
  afterAll(() => devices.forEach((d) => d.dispose()));
  const cpu = await openDevice('cpu', { threads: 1 });
  devices.push(cpu);
  let expected: number[] | null = null;
  for (const name of ['reference', 'webgpu', 'cuda'] as const) {
    const [device, reason] = await openDevice(name).then(
      (opened) => [opened, ''] as const,
      (error: unknown) => [null, String((error as Error).message)] as const,
    );
    if (device === null) {
      // A card is nowhere in CI; a software adapter is.
      if (process.env.CI && name !== 'cuda') throw new Error(`CI needs ${name}: ${reason}`);
      console.log(`left out: training on ${name} (${reason})`);
      it.skipIf(true)(`${name} (${reason})`, () => expect.unreachable());
      continue;
    }
    devices.push(device);
    it(`${name} has the CPU's loss curve to 1e-4`, async () => {
      expected ??= await losses(cpu);
      expect(expected[steps - 1]).toBeLessThan(expected[0] * 0.8);
      const actual = await losses(device);
      actual.forEach((v, i) => expect(Math.abs(v - expected![i]) / expected![i], `loss ${i}`).toBeLessThan(1e-4));
    });
  }
});

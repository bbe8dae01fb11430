import { AdamW, clipGradientNorm, crossEntropyLoss } from '@mamba-ts/nn';
import { compile, cpu, grad, RandomGenerator, tensor, variable, Tensor } from '@mamba-ts/tensor';
import { it } from 'vitest';
import { generate, LanguageModel } from '../src/index';
for (const layer of ['s6', 's4d', {kind:'s6',aInit:'s4d-lin'}] as const) it(`bench ${JSON.stringify(layer)}`, async () => {
  const device = await cpu({ threads: 1 });
  const random = new RandomGenerator(1, device);
  const model = new LanguageModel({ vocabSize: 256, dModel: 128, nLayer: 2, block: 'mamba', layer: layer as any }, random);
  const opt = new AdamW(model.parameters(), { learningRate: 1e-3 });
  const B = 4, L = 256;
  const z = tensor(new Int32Array(B * L).fill(3), { shape: [B, L], device });
  const ids = variable(z), tg = variable(z);
  const step = compile(() => { const loss = model.loss(ids, tg); const { gradients } = clipGradientNorm(grad(loss, opt.parameters), 1); opt.update(gradients); return loss; });
  let t0 = performance.now(); await step().item(); console.log('first', (performance.now() - t0).toFixed(0));
  const times: number[] = [];
  for (let i = 0; i < 8; i++) { t0 = performance.now(); await step().item(); times.push(performance.now() - t0); }
  console.log('step ms', Math.min(...times).toFixed(1));
  const r = step.explain()[0];
  console.log(r.steps.length, 'steps', JSON.stringify(Object.keys(r)), JSON.stringify(r.steps[0]));
  (globalThis as any).report = r;
  const n = 200; t0 = performance.now(); let c = 0; let tFirst = 0;
  for await (const _ of generate(model, [1, 2, 3], { maxNewTokens: n })) { if (++c === 2) tFirst = performance.now(); }
  console.log('decode ms/token', ((performance.now() - tFirst) / (n - 2)).toFixed(3), 'start', (tFirst - t0).toFixed(0));
}, 120000);

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  AdamW,
  clipGradientNorm,
  loadStateDict,
  readSafetensors,
  type SafetensorsFile,
  toFloat64,
  toInt32,
} from '@mamba-ts/nn';
import { S4D, type S4DInit, type Discretization } from '@mamba-ts/ssm';
import { type Device, grad, RandomGenerator, realize, reference, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import { relativeError } from '@mamba-ts/tensor/conformance';
import { describe, expect, it } from 'vitest';
import { fromHuggingFaceMambaConfig, generate, LanguageModel, mambaKeyFromHuggingFace, PlainBlock } from '../src/index';
import { floatDevices } from './devices';
import { disposeEmpty } from './harness';

/* Outputs of the public implementations on small random models. `pnpm parity` checks all families; these are the ones
   of this package's parts. */

const folder = new URL('../../../../shared/fixtures/', import.meta.url);
const present = (name: string): boolean => {
  const found = existsSync(new URL(name, folder));
  if (!found) console.log(`skipped: fixtures ${name}: no shared/fixtures beside the repository`);
  return found;
};
const json = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, folder), 'utf8')) as T;
const tensors = (path: string): SafetensorsFile => readSafetensors(readFileSync(new URL(path, folder)));

interface Expected {
  readonly adamw: {
    readonly lr: number;
    readonly betas: [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly clip: number;
    readonly loss_and_gradnorm: [number, number][];
  };
  readonly greedy: { readonly prompt_len: number; readonly new: number };
}

interface Settings {
  readonly H: number;
  readonly N: number;
  readonly kwargs: { readonly mode: string; readonly init: string; readonly disc: Discretization };
}

/** All results of `body`, computed in one program. */
async function run(body: () => Record<string, Tensor>): Promise<Record<string, Float64Array>> {
  const results = scope(() => {
    const made = Object.fromEntries(Object.entries(body()).map(([name, t]) => [name, t.add(0)]));
    realize(...Object.values(made));
    return made;
  });
  const values: Record<string, Float64Array> = {};
  for (const [name, t] of Object.entries(results)) {
    values[name] = Float64Array.from(await t.data());
    t.dispose();
  }
  return values;
}

for (const [deviceName, create] of Object.entries({ reference, ...floatDevices })) {
  describe(`fixtures on ${deviceName}`, () => {
    const withDevice = async (body: (device: Device, random: RandomGenerator) => Promise<void>): Promise<void> => {
      const device = await create();
      const random = new RandomGenerator(1, device);
      await body(device, random);
      random.dispose();
      disposeEmpty(device);
    };
    const upload = (file: SafetensorsFile, name: string, device: Device): Tensor => {
      const t = file.tensors.get(name);
      if (!t) throw new Error(`no tensor ${name}`);
      return tensor(t.dtype === 'I32' ? toInt32(t) : toFloat64(t), { shape: t.shape, device });
    };
    const floats = (file: SafetensorsFile, name: string): Float64Array => toFloat64(file.tensors.get(name) as never);

    it.skipIf(!present('mamba-hf/model.safetensors'))(
      'mamba-hf: logits, loss, gradients, greedy tokens and three AdamW steps of transformers',
      async () => {
        await withDevice(async (device, random) => {
          const model = new LanguageModel(fromHuggingFaceMambaConfig(json<unknown>('mamba-hf/config.json')), random);
          const load = (): void => {
            loadStateDict(model, readFileSync(new URL('mamba-hf/model.safetensors', folder)), {
              rename: mambaKeyFromHuggingFace,
            });
          };
          load();
          const expected = tensors('mamba-hf/expected.safetensors');
          const parameters = [...model.parameters()];
          const ids = (): Tensor => upload(expected, 'input_ids', device);
          const loss = (): Tensor => model.loss(ids().slice(1, 0, -1), ids().slice(1, 1));
          const found = await run(() => {
            const value = loss();
            const gradients = grad(
              value,
              parameters.map(([, v]) => v),
            );
            return {
              logits: model.forward(ids()),
              loss: value,
              ...Object.fromEntries(parameters.map(([path], i) => [`grad.${path}`, gradients[i]])),
            };
          });
          expect(relativeError(found.logits, floats(expected, 'logits'))).toBeLessThan(1e-4);
          expect(relativeError(found.loss, floats(expected, 'loss'))).toBeLessThan(1e-5);
          for (const [path] of parameters) {
            const theirs = path.replace('embedding.', 'embeddings.');
            expect(relativeError(found[`grad.${path}`], floats(expected, `grad.${theirs}`)), path).toBeLessThan(1e-3);
          }

          const { greedy, adamw } = json<Expected>('mamba-hf/expected.json');
          const sequence = Array.from(toInt32(expected.tensors.get('greedy_ids') as never));
          const generated: number[] = [];
          for await (const { token } of generate(model, sequence.slice(0, greedy.prompt_len), {
            maxNewTokens: greedy.new,
          }))
            generated.push(token);
          expect(generated).toEqual(sequence.slice(greedy.prompt_len));

          // The library's optimizer knows no exceptions from the weight decay.
          const groups = [{ match: /./, weightDecay: adamw.weight_decay }];
          const optimizer = new AdamW(model.parameters(), {
            learningRate: adamw.lr,
            beta1: adamw.betas[0],
            beta2: adamw.betas[1],
            eps: adamw.eps,
            weightDecay: adamw.weight_decay,
            groups,
          });
          for (const [theirLoss, theirNorm] of adamw.loss_and_gradnorm) {
            const step = await run(() => {
              const value = loss();
              const { gradients, norm } = clipGradientNorm(grad(value, optimizer.parameters), adamw.clip);
              realize(value, norm, ...gradients);
              optimizer.update(gradients);
              return { value, norm };
            });
            expect(Math.abs(step.value[0] / theirLoss - 1)).toBeLessThan(1e-4);
            expect(Math.abs(step.norm[0] / theirNorm - 1)).toBeLessThan(1e-3);
          }
          optimizer.dispose();
          model.dispose();
        });
      },
    );

    const s4d = present('s4')
      ? readdirSync(new URL('s4/', folder)).filter(
          (f) => f.endsWith('.json') && json<Settings>(`s4/${f}`).kwargs.mode === 'diag',
        )
      : [];
    it.each(s4d)('s4/%s: output, steps and gradients of the S4 block of state-spaces/s4', async (file) => {
      await withDevice(async (device, random) => {
        const { H, N, kwargs } = json<Settings>(`s4/${file}`);
        const fixture = tensors(`s4/${file.replace('.json', '.safetensors')}`);
        const nSsm = (fixture.tensors.get('param.layer.kernel.A_real') as { shape: readonly number[] }).shape[0];
        const init = kwargs.init.replace('diag-', '') as S4DInit;
        const block = new PlainBlock(
          {
            dModel: H,
            layer: (width) => new S4D({ dModel: width, dState: N, init, discretization: kwargs.disc, nSsm }, random),
          },
          random,
        );
        for (const [path, v] of block.stateDict()) v.write(floats(fixture, `param.${path}`));
        const parameters = [...block.parameters()];
        const found = await run(() => {
          const x = upload(fixture, 'in.x', device);
          const y = block.forward(x);
          const gradients = grad(y.mul(upload(fixture, 'grad_out', device)).sum(), [
            x,
            ...parameters.map(([, v]) => v),
          ]);
          let state = block.initialState(x.shape[0]);
          let last = y;
          for (let t = 0; t < x.shape[1]; t++) [last, state] = block.step(x.slice(1, t, t + 1).squeeze(1), state);
          return {
            y,
            last,
            'grad.x': gradients[0],
            ...Object.fromEntries(parameters.map(([path], i) => [`grad.${path}`, gradients[i + 1]])),
          };
        });
        expect(relativeError(found.y, floats(fixture, 'out'))).toBeLessThan(1e-4);
        const length = fixture.tensors.get('out_step')?.shape[1] as number;
        const theirs = floats(fixture, 'out_step').filter((_, i) => Math.floor(i / H) % length === length - 1);
        expect(relativeError(found.last, theirs)).toBeLessThan(1e-3);
        for (const [name, g] of Object.entries(found)) {
          if (name.startsWith('grad.')) expect(relativeError(g, floats(fixture, name)), name).toBeLessThan(1e-3);
        }
        block.dispose();
      });
    });
  });
}

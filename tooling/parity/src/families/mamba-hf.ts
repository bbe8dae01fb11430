import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fromHuggingFaceMamba2Config,
  fromHuggingFaceMambaConfig,
  generate,
  LanguageModel,
  type LanguageModelConfig,
  mambaKeyFromHuggingFace,
} from '@mamba-ts/models';
import { AdamW, clipGradientNorm, loadStateDict } from '@mamba-ts/nn';
import { compile, grad, type Tensor } from '@mamba-ts/tensor';
import { compared, type Family, notYetCovered, type Result, unusable } from '../family';
import { caseNames, type FixtureCase, readCase, readJsonObject } from '../fixture-case';
import { differingPlaces, relativeError } from '../measure';
import { evaluate, onDevices, type ParityDevice, uploadIntegers } from '../parity-device';

const OUTPUT_TOLERANCE = 1e-4;
const GRADIENT_TOLERANCE = 1e-3;

/** A checkpoint and its config, of which the cases of a folder are made. */
interface Checkpoint {
  readonly json: Readonly<Record<string, unknown>>;
  readonly readConfig: (json: unknown) => LanguageModelConfig;
  readonly weights: Uint8Array;
}

/** What a case says about training steps: settings, and for each step the loss and the gradients' norm before clipping. */
interface Training {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay: number;
  readonly clip: number;
  readonly loss_and_gradnorm: readonly (readonly [number, number])[];
}

/** A causal model of transformers: `config.json`, `model.safetensors`, and cases computed with them. */
const causalModel = (name: string, readConfig: (json: unknown) => LanguageModelConfig): Family => ({
  name,
  async *check(folder: string): AsyncIterable<Result> {
    const cases = (await caseNames(folder, '.safetensors')).filter((file) => file !== 'model');
    if (cases.length === 0) return;
    const checkpoint: Checkpoint = {
      json: await readJsonObject(join(folder, 'config.json')),
      readConfig,
      weights: new Uint8Array(await readFile(join(folder, 'model.safetensors'))),
    };
    yield* onDevices(async function* (devices) {
      for (const caseName of cases) {
        try {
          const fixture = await readCase(folder, caseName);
          const results: Result[] = [];
          for (const on of devices) results.push(...(await checkCase(fixture, checkpoint, on)));
          yield* results;
          for (const tensor of fixture.leftOver()) yield unusable(caseName, `nothing compares its tensor ${tensor}`);
          for (const setting of leftOverSettings(fixture)) yield notYetCovered(`${caseName}: ${setting}`);
        } catch (error) {
          yield unusable(caseName, (error as Error).message);
        }
      }
    });
  },
});

/** `MambaForCausalLM` */
export const mambaHfFamily: Family = causalModel('mamba-hf', fromHuggingFaceMambaConfig);
/** `Mamba2ForCausalLM` */
export const mamba2HfFamily: Family = causalModel('mamba2-hf', fromHuggingFaceMamba2Config);

/** Settings that no check reads. */
function leftOverSettings({ settings }: FixtureCase): string[] {
  const { adamw: _adamw, greedy: _greedy, extra, ...rest } = settings;
  const extras = typeof extra === 'object' && extra !== null ? Object.keys(extra).map((name) => `extra.${name}`) : [];
  return [...Object.keys(rest), ...extras];
}

async function checkCase(fixture: FixtureCase, checkpoint: Checkpoint, on: ParityDevice): Promise<Result[]> {
  const { json, readConfig, weights } = checkpoint;
  const model = new LanguageModel(readConfig(json), on.random);
  try {
    loadStateDict(model, weights, { rename: mambaKeyFromHuggingFace });
    const results = checkForward(fixture, model, on);
    // Training changes the weights: last.
    return [...results, ...(await checkGreedy(fixture, model, json, on)), ...checkTraining(fixture, model, on)];
  } finally {
    model.dispose();
  }
}

type Compare = (quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => Result;

function comparison({ name }: FixtureCase, on: ParityDevice): Compare {
  return (quantity, actual, expected, tolerance) =>
    compared(name, `${quantity} (${on.name})`, relativeError(actual, expected), tolerance);
}

/** The library's loss: of every token but the first, given those before it. */
function lossOf(model: LanguageModel, ids: Tensor): Tensor {
  return model.loss(ids.slice(1, 0, -1), ids.slice(1, 1));
}

function checkForward(fixture: FixtureCase, model: LanguageModel, on: ParityDevice): Result[] {
  const compare = comparison(fixture, on);
  const names = [...model.parameters().keys()];
  const hidden = fixture.namesUnder('hidden.').map((index) => `hidden.${index}`);
  const found: Record<string, Float64Array> = evaluate(() => {
    const ids = uploadIntegers(on, fixture.get('input_ids'));
    const loss = lossOf(model, ids);
    const gradients = grad(loss, [...model.parameters().values()]);
    return {
      logits: model.forward(ids),
      loss,
      ...Object.fromEntries(hiddenStates(model, ids, hidden.length).map((state, i) => [`hidden.${i}`, state])),
      ...Object.fromEntries(names.map((path, i) => [`grad.${path}`, gradients[i]!])),
    };
  });
  const gradients = fixture.namesUnder('grad.').map((key): [string, string] => [key, mambaKeyFromHuggingFace(key)]);
  const forgotten = names.filter((path) => !gradients.some(([, ours]) => ours === path));
  if (forgotten.length > 0) throw new Error(`the fixture has no gradient of ${forgotten.join(', ')}`);
  return [
    ...['logits', 'loss', ...hidden].map((name) =>
      compare(name, found[name] ?? [], fixture.get(name).data, OUTPUT_TOLERANCE),
    ),
    ...gradients.map(([theirs, ours]) =>
      compare(`grad ${theirs}`, found[`grad.${ours}`] ?? [], fixture.get(`grad.${theirs}`).data, GRADIENT_TOLERANCE),
    ),
  ];
}

/**
 * The last `count` of: the embeddings, each layer's output, and that of the last layer after the final norm. (Of Mamba the
 * library keeps no embeddings: there are as many hidden states as layers, and one.)
 */
function hiddenStates({ backbone }: LanguageModel, ids: Tensor, count: number): Tensor[] {
  const states = [backbone.embedding.forward(ids)];
  for (const layer of backbone.layers) states.push(layer.forward(states.at(-1)!, {}));
  states.push(backbone.norm_f.forward(states.at(-1)!));
  return states.slice(Math.max(states.length - count, 0));
}

/** Each sequence continued from its prompt, token by token. */
async function checkGreedy(
  fixture: FixtureCase,
  model: LanguageModel,
  json: Readonly<Record<string, unknown>>,
  on: ParityDevice,
): Promise<Result[]> {
  const promptLength = (fixture.settings['greedy'] as { prompt_len?: unknown } | undefined)?.prompt_len;
  if (typeof promptLength !== 'number') throw new Error('setting greedy.prompt_len is missing or no number');
  const { data, shape } = fixture.get('greedy_ids');
  const [rows, length] = shape as [number, number];
  let differing = 0;
  for (let row = 0; row < rows; row++) {
    const sequence = withoutFilling(data.subarray(row * length, (row + 1) * length), promptLength, json);
    const tokens: number[] = [];
    const settings = { maxNewTokens: sequence.length - promptLength };
    for await (const { token } of generate(model, sequence.subarray(0, promptLength), settings)) tokens.push(token);
    differing += differingPlaces(tokens, sequence.subarray(promptLength));
  }
  return [compared(fixture.name, `greedy ids (${on.name})`, differing, 0)];
}

/** The library fills a sequence that ended before the others: after its end of text everything is padding. */
function withoutFilling(
  sequence: Float64Array,
  promptLength: number,
  { eos_token_id: eos, pad_token_id: pad }: Readonly<Record<string, unknown>>,
): Float64Array {
  const end = sequence.findIndex((id, i) => i >= promptLength && id === eos);
  const filled = end >= 0 && sequence.subarray(end + 1).every((id) => id === pad);
  return filled ? sequence.subarray(0, end + 1) : sequence;
}

/** Steps of AdamW on the same tokens, with one compiled step: losses, and norms of the gradients before clipping. */
function checkTraining(fixture: FixtureCase, model: LanguageModel, on: ParityDevice): Result[] {
  const compare = comparison(fixture, on);
  const training = fixture.settings['adamw'];
  if (!isTraining(training)) throw new Error('setting adamw is missing or incomplete');
  const { lr, betas, eps, weight_decay: weightDecay, clip } = training;
  const optimizer = new AdamW(model.parameters(), {
    learningRate: lr,
    beta1: betas[0],
    beta2: betas[1],
    eps,
    // The library's optimizer decays everything.
    groups: [{ match: /./, weightDecay }],
  });
  const step = compile((tokens: Tensor) => {
    const loss = lossOf(model, tokens);
    const { gradients, norm } = clipGradientNorm(grad(loss, optimizer.parameters), clip);
    optimizer.update(gradients);
    return { loss, norm };
  });
  const ids = uploadIntegers(on, fixture.get('input_ids'));
  try {
    return training.loss_and_gradnorm.flatMap(([expectedLoss, expectedNorm], i) => {
      const { loss, norm } = step(ids);
      return [
        compare(`loss of step ${i}`, loss.dataSync(), [expectedLoss], OUTPUT_TOLERANCE),
        compare(`gradient norm of step ${i}`, norm.dataSync(), [expectedNorm], GRADIENT_TOLERANCE),
      ];
    });
  } finally {
    ids.dispose();
    step.dispose();
    optimizer.dispose();
  }
}

function isTraining(value: unknown): value is Training {
  const { lr, betas, eps, weight_decay, clip, loss_and_gradnorm } = (value ?? {}) as Partial<Training>;
  const isPair = (item: unknown): boolean =>
    Array.isArray(item) && item.length === 2 && item.every((number) => typeof number === 'number');
  return (
    [lr, eps, weight_decay, clip].every((number) => typeof number === 'number') &&
    isPair(betas) &&
    Array.isArray(loss_and_gradnorm) &&
    loss_and_gradnorm.every(isPair)
  );
}

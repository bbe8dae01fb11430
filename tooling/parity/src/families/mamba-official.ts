import { folderFiles, fromPretrained, generate, LanguageModel, openWeights, pretrainedFiles } from '@mamba-ts/models';
import { bytesSource, openTorchFile, readStateDict, type SafetensorsReader } from '@mamba-ts/nn';
import { compared, type Family, type Result, unusable } from '../family';
import { caseNames, type FixtureCase, readCase, readJsonObject } from '../fixture-case';
import { differingPlaces } from '../measure';
import { evaluate, onDevices, type ParityDevice, uploadIntegers } from '../parity-device';
import { join } from 'node:path';

/** Absolute: the expected numbers are float32 of a GPU. */
const LOGITS_TOLERANCE = 5e-3;

/** `MambaLMHeadModel` of state-spaces/mamba: `config.json`, `pytorch_model.bin`, and cases computed with them. */
export const mambaOfficialFamily: Family = {
  name: 'mamba-official',
  async *check(folder: string): AsyncIterable<Result> {
    const cases = (await caseNames(folder, '.safetensors')).filter((name) => name !== 'model');
    if (cases.length === 0) return;
    yield* onDevices(async function* (devices) {
      for (const name of cases) {
        try {
          const fixture = await readCase(folder, name);
          const results: Result[] = [];
          for (const on of devices) results.push(...(await checkCase(fixture, folder, on)));
          yield* results;
          for (const tensor of fixture.leftOver()) yield unusable(name, `nothing compares its tensor ${tensor}`);
          yield* leftOverSettings(fixture);
        } catch (error) {
          yield unusable(name, (error as Error).message);
        }
      }
    });
  },
};

function* leftOverSettings({ name, settings }: FixtureCase): Generator<Result> {
  // The config stands in config.json too.
  const { note: _note, config: _config, greedy: _greedy, ...rest } = settings;
  for (const setting of Object.keys(rest)) yield unusable(name, `nothing reads its setting ${setting}`);
}

async function checkCase(fixture: FixtureCase, folder: string, on: ParityDevice): Promise<Result[]> {
  const { model } = await fromPretrained(folder, { device: on.device });
  try {
    return [
      checkLogits(fixture, model, on),
      await checkGreedy(fixture, folder, on),
      ...(on.exact ? [] : [await checkSaved(fixture, folder, model)]),
    ];
  } finally {
    model.dispose();
  }
}

/** Of the whole padded vocabulary. */
function checkLogits(fixture: FixtureCase, model: LanguageModel, on: ParityDevice): Result {
  const expected = fixture.get('logits').data;
  const { logits } = evaluate(() => ({ logits: model.forward(uploadIntegers(on, fixture.get('input_ids'))) }));
  const fits = logits.length === expected.length;
  const largest = fits
    ? logits.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
    : Infinity;
  const error = Number.isFinite(largest) ? largest : Infinity;
  return compared(fixture.name, `logits, absolute (${on.name})`, error, LOGITS_TOLERANCE);
}

/**
 * A row of `greedy_ids` begins with the first ids of the same row of `input_ids`, the prompt. The official code can choose
 * ids of the padding, so here they count as tokens.
 */
async function checkGreedy(fixture: FixtureCase, folder: string, on: ParityDevice): Promise<Result> {
  const greedy = fixture.get('greedy_ids');
  const inputs = fixture.get('input_ids');
  const [rows, length] = greedy.shape as [number, number];
  const inputLength = inputs.shape[1]!;
  const model = await withPaddingAsTokens(folder, on);
  let differing = 0;
  try {
    for (let row = 0; row < rows; row++) {
      const sequence = greedy.data.subarray(row * length, (row + 1) * length);
      const input = inputs.data.subarray(row * inputLength, (row + 1) * inputLength);
      const promptLength = sequence.findIndex((id, i) => id !== input[i]);
      if (promptLength < 1) throw new Error(`row ${row} of greedy_ids is no prompt of input_ids with new ids after it`);
      const tokens: number[] = [];
      const settings = { maxNewTokens: length - promptLength };
      for await (const { token } of generate(model, sequence.subarray(0, promptLength), settings)) tokens.push(token);
      differing += differingPlaces(tokens, sequence.subarray(promptLength));
    }
  } finally {
    model.dispose();
  }
  return compared(fixture.name, `greedy ids (${on.name})`, differing, 0);
}

async function withPaddingAsTokens(folder: string, on: ParityDevice): Promise<LanguageModel> {
  const files = folderFiles(folder);
  const { model, format } = await fromPretrained(files, { device: on.device });
  const { paddedVocabSize } = model;
  model.dispose();
  const config = format.readConfig(await readJsonObject(join(folder, 'config.json')));
  const whole = new LanguageModel({ ...config, vocabSize: paddedVocabSize, padVocabSizeMultiple: 1 }, on.random);
  const reader = await openWeights(files);
  try {
    await readStateDict(whole, reader, { rename: format.fromFile });
  } finally {
    await reader.close();
  }
  return whole;
}

/** Tensors whose bytes differ after loading and saving in the same layout. */
async function checkSaved(fixture: FixtureCase, folder: string, model: LanguageModel): Promise<Result> {
  const original = await openWeights(folderFiles(folder));
  try {
    const saved = await openTorchFile(bytesSource(await savedWeights(model)));
    const names = new Set([...original.entries.keys(), ...saved.entries.keys()]);
    let differing = 0;
    for (const name of names) if (!(await same(original, saved, name))) differing++;
    return compared(fixture.name, 'tensors, loaded and saved', differing, 0);
  } finally {
    await original.close();
  }
}

async function savedWeights(model: LanguageModel): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const file = pretrainedFiles(model, { layout: 'official' }).find(({ name }) => name === 'pytorch_model.bin')!;
  for await (const piece of file.pieces()) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

async function same(a: SafetensorsReader, b: SafetensorsReader, name: string): Promise<boolean> {
  if (!a.entries.has(name) || !b.entries.has(name)) return false;
  const [x, y] = [await a.read(name), await b.read(name)];
  return x.dtype === y.dtype && `${x.shape}` === `${y.shape}` && Buffer.compare(x.bytes, y.bytes) === 0;
}

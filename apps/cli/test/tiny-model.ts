import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, type LanguageModelConfig, savePretrained, type SavePretrainedOptions } from '@mamba-ts/models';
import { cpu, RandomGenerator } from '@mamba-ts/tensor';
import { runProgram } from '../src/program';

/** A folder that lasts until `remove`. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mamba-cli-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** How a byte-level tokenizer writes bytes: printable ones as they are, the others as characters from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : 256 + others++));
}

/** Ids are bytes, then `ab`, `bc` and the end of text. */
const tokenizerJson = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    {
      id: 258,
      content: '<|endoftext|>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '' },
    ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
    vocab: {
      ...Object.fromEntries(byteCharacters().map((character, byte) => [character, byte])),
      ...{ ab: 256, bc: 257 },
    },
    merges: ['a b', 'b c'],
  },
};

/** Saves a model of random weights that has opinions, with a tokenizer of 259 tokens. */
export async function saveTinyModel(
  folder: string,
  changes: Partial<LanguageModelConfig> = {},
  options: SavePretrainedOptions = {},
): Promise<void> {
  const device = await cpu({ threads: 1 });
  const random = new RandomGenerator(5, device);
  const model = new LanguageModel(
    { vocabSize: 259, dModel: 8, nLayer: 2, block: 'mamba', layer: { kind: 's6', dState: 4 }, ...changes },
    random,
  );
  const { weight } = model.backbone.embedding;
  weight.write(Float32Array.from(weight.dataSync(), (v) => v * 60));
  await savePretrained(model, folder, options);
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson));
  model.dispose();
  random.dispose();
  device.dispose();
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Lines of `--json`. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
}

/** Runs the program as a shell would. */
export async function mamba(
  args: readonly string[],
  { input, signal, onWrite }: { input?: string; signal?: AbortSignal; onWrite?: (text: string) => void } = {},
): Promise<Outcome> {
  let out = '';
  let err = '';
  const stdin = Object.assign(
    (async function* () {
      if (input !== undefined) yield new TextEncoder().encode(input);
    })(),
    { isTTY: input === undefined },
  );
  const code = await runProgram({
    args,
    stdin,
    stdout: {
      write(text) {
        out += text;
        onWrite?.(text);
      },
    },
    stderr: { write: (text) => (err += text) },
    env: {},
    signal: signal ?? new AbortController().signal,
  });
  const events = out.startsWith('{')
    ? out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : [];
  return { code, out, err, events };
}

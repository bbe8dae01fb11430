import { readFile, writeFile } from 'node:fs/promises';
import { type DeviceName, deviceNames, openDevice } from '@mamba-ts/devices';
import {
  type BatchChoice,
  decodeSnapshot,
  encodeSnapshot,
  fromPretrained,
  generateBatch,
  type Generation,
  type GenerationOptions,
  resumeGenerationBatch,
  type WeightsDtype,
  weightsDtypes,
} from '@mamba-ts/models';
import type { Tokenizer } from '@mamba-ts/tokenizers';
import { Arguments, integerOf } from '../arguments';
import { checkpointHelp, checkpointOf, checkpointOptions } from '../checkpoint';
import { type Command, type Surroundings, UsageError } from '../command';
import { EventWriter, TextWriter, type Writer } from '../output';
import { endTokens, tokenizerOf } from '../tokenizer';

const help = `Continues a prompt with a model. Text is written as it comes.

  mamba generate --model MODEL --prompt TEXT [options]
  echo TEXT | mamba generate --model MODEL [options]

${checkpointHelp}
  --prompt TEXT            what to continue (default: standard input); several with --json
  --ids "1 2 3"            the same as token ids, for models without a tokenizer
  --tokenizer FILE         a tokenizer.json, or bytes (default: the model's tokenizer.json;
                           without one, token ids go in and come out)
  --max-tokens N           at most N new tokens (default 128)
  --temperature X          0, the default, takes the likeliest token
  --top-k N  --top-p X  --min-p X
                           of the likeliest tokens only
  --repetition-penalty X   above 1 avoids tokens that occurred
  --seed N                 another draw (default 0)
  --stop TEXT              ends before this text; may be given several times
  --stop-token ID          ends after this token; may be given several times
  --ignore-eos             goes on behind the end of text
  --logprobs N             with --json: the N likeliest tokens of each step
  --json                   one JSON object a line: start, token, end
  --save-state FILE        what is needed to go on later (safetensors)
  --resume FILE            goes on from it, without a prompt; other options are given again

  --device NAME            ${deviceNames.join(', ')} or auto (default: cpu)
  --threads N              of the cpu device (default: all cores)
  --dtype NAME             what matrices are stored as: ${weightsDtypes.join(', ')} (default: float32)
`;

const options = {
  ...checkpointOptions,
  prompt: { type: 'string', multiple: true },
  ids: { type: 'string', multiple: true },
  tokenizer: { type: 'string' },
  'max-tokens': { type: 'string' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'min-p': { type: 'string' },
  'repetition-penalty': { type: 'string' },
  seed: { type: 'string' },
  stop: { type: 'string', multiple: true },
  'stop-token': { type: 'string', multiple: true },
  'ignore-eos': { type: 'boolean' },
  logprobs: { type: 'string' },
  json: { type: 'boolean' },
  'save-state': { type: 'string' },
  resume: { type: 'string' },
  device: { type: 'string' },
  threads: { type: 'string' },
  dtype: { type: 'string' },
} as const;

export const generateCommand: Command = { name: 'generate', summary: 'continues a prompt', help, run };

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const given = new Arguments(args, options, 1);
  const { source, options: hub } = checkpointOf(given, surroundings);
  const device = given.oneOf<DeviceName | 'auto'>('device', [...deviceNames, 'auto']) ?? 'cpu';
  const threads = given.integer('threads', 1, 64);
  const dtype = given.oneOf<WeightsDtype>('dtype', weightsDtypes);
  const json = given.flag('json');
  const sampling = samplingOf(given, surroundings.signal);
  const resumeFile = given.text('resume');
  const saveFile = given.text('save-state');
  const prompts = resumeFile === undefined ? await promptsOf(given, surroundings) : [];
  if (prompts.length > 1 && !json) throw new UsageError('several prompts are given, which needs --json');
  const opened = await openDevice(device, { threads });
  try {
    const { model, files } = await fromPretrained(source, { ...hub, device: opened, dtype });
    try {
      const tokenizer = await tokenizerOf(files, given.text('tokenizer'));
      const ends = given.flag('ignore-eos') ? [] : await endTokens(files, tokenizer);
      const settings: GenerationOptions = {
        ...sampling,
        stopTokens: [...(sampling.stopTokens ?? []), ...ends.filter((id) => id < model.vocabSize)],
        ...(tokenizer && { tokenizer }),
      };
      if (settings.stopStrings?.length && !tokenizer)
        throw new UsageError('--stop needs a tokenizer, and there is none');
      const writer: Writer = json ? new EventWriter(surroundings.stdout) : new TextWriter(surroundings.stdout);
      if (resumeFile === undefined) {
        const ids = prompts.map((prompt) => idsOf(prompt, tokenizer));
        writer.start({
          model: source,
          device: opened.name,
          dtype: dtype ?? 'float32',
          promptTokens: ids.map((i) => i.length),
        });
        await write(
          generateBatch(model, ids, { ...settings, seed: given.integer('seed', -(2 ** 31)) }),
          writer,
          saveFile,
        );
      } else {
        const snapshot = decodeSnapshot(await readFile(resumeFile));
        const lengths = snapshot.rows.map((row) => row.ids.length);
        writer.start({ model: source, device: opened.name, dtype: dtype ?? 'float32', promptTokens: lengths });
        await write(resumeGenerationBatch(model, snapshot, settings), writer, saveFile);
      }
      writer.end();
    } finally {
      model.dispose();
    }
  } finally {
    opened.dispose();
  }
}

async function write(
  generation: Generation<readonly BatchChoice[]>,
  writer: Writer,
  saveFile: string | undefined,
): Promise<void> {
  const ended = new Set<number>();
  let rows = 0;
  try {
    for await (const choices of generation) {
      rows ||= choices.length;
      for (const choice of choices) {
        writer.token(choice);
        if (choice.finish) ended.add(choice.row);
      }
      // The last step: there is no later moment to ask.
      if (saveFile !== undefined && ended.size === rows)
        await writeFile(saveFile, encodeSnapshot(await generation.snapshot()));
    }
  } catch (error) {
    // Text that was written so far ends its line, whatever came between.
    writer.end();
    throw error;
  }
}

function samplingOf(given: Arguments, signal: AbortSignal): GenerationOptions {
  return {
    maxNewTokens: given.integer('max-tokens', 0),
    temperature: given.number('temperature'),
    topK: given.integer('top-k', 1),
    topP: given.number('top-p'),
    minP: given.number('min-p'),
    repetitionPenalty: given.number('repetition-penalty'),
    stopStrings: given.texts('stop'),
    stopTokens: given.integers('stop-token', 0),
    logprobs: given.integer('logprobs', 0),
    signal,
  };
}

type Prompt = { readonly text: string } | { readonly ids: readonly number[] };

async function promptsOf(given: Arguments, { stdin }: Surroundings): Promise<Prompt[]> {
  const texts = given.texts('prompt').map((text) => ({ text }));
  const ids = given.texts('ids').map((list) => {
    const numbers = list.split(/[\s,]+/).filter((part) => part !== '');
    return { ids: numbers.map((part) => integerOf('--ids', part, 0, 2 ** 31 - 1)) };
  });
  if (texts.length + ids.length > 0) return [...texts, ...ids];
  if (stdin.isTTY) throw new UsageError('no prompt is given, expected --prompt TEXT, --ids or standard input');
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of stdin) text += typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true });
  text += decoder.decode();
  // The line feed that echo and editors add is no part of a prompt.
  return [{ text: text.replace(/\r?\n$/, '') }];
}

function idsOf(prompt: Prompt, tokenizer: Tokenizer | null): Int32Array {
  if ('ids' in prompt) return Int32Array.from(prompt.ids);
  if (tokenizer) return tokenizer.encode(prompt.text);
  throw new UsageError('the model has no tokenizer.json: give one with --tokenizer, or token ids with --ids');
}

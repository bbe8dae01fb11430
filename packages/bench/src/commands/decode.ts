import os from 'node:os';
import { parseArgs } from 'node:util';
import { fromMambaConfig, type MambaConfig, mambaModels } from '@mamba-ts/models';
import { type Command, integerOption, UsageError } from '../command';
import type { MambaSizes } from '../decode/gguf';
import { runDecodeSuite, type WeightType } from '../decode/suite';
import { describeMachine } from '../machine';
import { writeResult } from '../result-file';
import { meetsBar } from '../results';

const cores = os.availableParallelism();
const weightTypes: readonly WeightType[] = ['float32', 'bfloat16', 'float16'];

export const decodeCommand: Command = {
  name: 'decode',
  summary: 'a language model on the CPU: ms a token beside the memory floor, prefill',
  usage: `Usage: pnpm bench decode [options]

  --model NAME     shape of the model, random weights (default: mamba-130m; ${Object.keys(mambaModels).join(', ')})
  --dtype TYPE     weights in ${weightTypes.join(', ')}; several times for several (default: float32 and bfloat16)
  --threads N      compare one thread with N (default: all cores, here ${cores})
  --prompt N       tokens of the prefill (default: 512)
  --budget MS      time for each figure (default: 4000)
  --llama-cpp DIR  measure llama.cpp too, whose times are the bars then; DIR is a folder in which node-llama-cpp is installed
  --out FILE       where the JSON goes (default: bench-decode.json in the current folder)
  --check          exit with 1 if a bar is missed`,

  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        model: { type: 'string', default: 'mamba-130m' },
        dtype: { type: 'string', multiple: true, default: ['float32', 'bfloat16'] },
        threads: { type: 'string', default: String(cores) },
        prompt: { type: 'string', default: '512' },
        budget: { type: 'string', default: '4000' },
        'llama-cpp': { type: 'string' },
        out: { type: 'string', default: 'bench-decode.json' },
        check: { type: 'boolean', default: false },
      },
    });
    const model = Object.hasOwn(mambaModels, values.model) ? mambaModels[values.model] : undefined;
    if (!model)
      throw new UsageError(`--model is '${values.model}', expected one of ${Object.keys(mambaModels).join(', ')}`);
    const dtypes = values.dtype.map((name) => {
      const dtype = weightTypes.find((t) => t === name);
      if (!dtype) throw new UsageError(`--dtype is '${name}', expected one of ${weightTypes.join(', ')}`);
      return dtype;
    });
    const threads = integerOption('threads', values.threads, 1);
    const folder = values['llama-cpp'];
    const options = {
      dtypes,
      threads,
      budget: integerOption('budget', values.budget, 1),
      promptLength: integerOption('prompt', values.prompt, 4),
      newTokens: 24,
      ...(folder === undefined ? {} : { llamaCpp: { folder, sizes: sizesOf(model) } }),
    };
    const { device, measurements } = await runDecodeSuite(
      fromMambaConfig(model),
      values.model === 'mamba-130m',
      options,
      (m) => {
        process.stderr.write(
          `  ${m.name}, ${m.threads} ${m.threads > 1 ? 'threads' : 'thread'}: ${m.timing.median.toFixed(2)} ms${m.note ? ` (${m.note})` : ''}\n`,
        );
      },
    );
    writeResult(values.out, {
      benchmark: 'decode',
      command: [
        'pnpm bench decode',
        ...args.filter((_, i) => args[i] !== '--check' && args[i] !== '--out' && args[i - 1] !== '--out'),
      ]
        .join(' ')
        .replace(/(--llama-cpp[ =])\S+/, '$1DIR'),
      date: new Date().toISOString(),
      device,
      ...describeMachine(),
      measurements,
    });
    return values.check && measurements.some((m) => meetsBar(m) === false) ? 1 : 0;
  },
};

/** A released Mamba-1 model's sizes: all of them have Mamba's defaults. */
function sizesOf({ d_model, n_layer, vocab_size }: MambaConfig): MambaSizes {
  const vocabSize = Math.ceil(vocab_size / 8) * 8;
  return {
    dModel: d_model,
    nLayer: n_layer,
    vocabSize,
    dInner: 2 * d_model,
    dState: 16,
    dtRank: Math.ceil(d_model / 16),
    dConv: 4,
  };
}

import {
  formatOfConfig,
  LanguageModel,
  type LanguageModelConfig,
  openCheckpoint,
  openWeights,
  readCheckpointJson,
  shapeDevice,
} from '@mamba-ts/models';
import { bytesPerElement, compareStateDict, type SafetensorsDtype } from '@mamba-ts/nn';
import { RandomGenerator, sizeOf } from '@mamba-ts/tensor';
import { Arguments } from '../arguments';
import { checkpointHelp, checkpointOf, checkpointOptions, readableBytes } from '../checkpoint';
import { type Command, type Surroundings } from '../command';

const help = `Describes a checkpoint: its config, its parameters and their number. Reads no weights.

  mamba info --model MODEL [options]

${checkpointHelp}
  --all                    every tensor, instead of those of all layers in one line
  --json                   the same as JSON
`;

export const infoCommand: Command = {
  name: 'info',
  summary: "describes a checkpoint's config and parameters",
  help,
  run,
};

interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: SafetensorsDtype;
}

interface Info {
  readonly model: string;
  readonly family: string;
  readonly layout: string;
  readonly config: LanguageModelConfig;
  readonly tensors: readonly TensorInfo[];
  /** Tied weights once. */
  readonly parameters: number;
  readonly bytes: number;
  /** Of one sequence, in float32. */
  readonly stateBytes: number | null;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misfit: readonly string[];
}

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const given = new Arguments(args, { ...checkpointOptions, all: { type: 'boolean' }, json: { type: 'boolean' } }, 1);
  const { source, options } = checkpointOf(given, surroundings);
  const files = await openCheckpoint(source, options);
  const json = await readCheckpointJson(files, 'config.json');
  const format = formatOfConfig(json);
  const config = format.readConfig(json);
  const reader = await openWeights(files);
  try {
    const tensors = [...reader.entries].map(([name, { dtype, shape }]): TensorInfo => ({ name, dtype, shape }));
    const info: Info = {
      ...{ model: source, family: format.family, layout: format.layout, config, tensors },
      bytes: tensors.reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * bytesPerElement(dtype), 0),
      ...compareWith(config, (model) => {
        const { missing, unexpected, misfit } = compareStateDict(model, reader.entries, { rename: format.fromFile });
        return { missing, unexpected, misfit: misfit.map(({ key, reason }) => `${key} has ${reason}`) };
      }),
    };
    surroundings.stdout.write(given.flag('json') ? `${JSON.stringify(info)}\n` : describe(info, given.flag('all')));
  } finally {
    await reader.close();
  }
}

/** What the model of a config says, built without memory. */
function compareWith<T>(
  config: LanguageModelConfig,
  compare: (model: LanguageModel) => T,
): T & Pick<Info, 'parameters' | 'stateBytes'> {
  const device = shapeDevice();
  const random = new RandomGenerator(0, device);
  const model = new LanguageModel(config, random);
  const state = model.initialState(1);
  const stateBytes = Object.values(state).reduce((sum, t) => sum + t.byteLength, 0);
  for (const t of Object.values(state)) t.dispose();
  const result = {
    ...compare(model),
    parameters: model.parameterCount(),
    stateBytes: model.constantState ? stateBytes : null,
  };
  model.dispose();
  random.dispose();
  device.dispose();
  return result;
}

function describe(info: Info, all: boolean): string {
  const { config, tensors } = info;
  const rows = (all ? tensors.map((t) => ({ ...t, times: 1 })) : byLayer(tensors)).map(
    ({ name, shape, dtype, times }) => [
      name,
      `(${shape.join(', ')})`,
      dtype,
      times > 1 ? `× ${times}` : '',
      (times * sizeOf(shape)).toLocaleString('en'),
    ],
  );
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(0, ...rows.map((row) => row[i].length)));
  const settings = Object.entries(config).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  const settingWidth = Math.max(...settings.map(([name]) => name.length));
  const problems = [
    ...info.missing.map((key) => `missing: ${key}`),
    ...info.unexpected.map((key) => `unexpected: ${key}`),
    ...info.misfit.map((text) => `misfit: ${text}`),
  ];
  return [
    `${info.model}: ${info.family}, ${info.layout} layout`,
    '',
    ...settings.map(([name, value]) => `  ${name.padEnd(settingWidth)}  ${value}`),
    '',
    ...rows.map(
      (row) => `  ${row.map((cell, i) => (i === 4 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')}`,
    ),
    '',
    `${info.parameters.toLocaleString('en')} parameters (tied weights once), ${readableBytes(info.bytes)} of tensors`,
    info.stateBytes === null
      ? 'the state of a sequence grows with its length'
      : `${readableBytes(info.stateBytes)} of state for a sequence of any length`,
    ...problems,
    '',
  ].join('\n');
}

/** Tensors that differ in the layer's number only, as one. */
function byLayer(tensors: readonly TensorInfo[]): (TensorInfo & { readonly times: number })[] {
  const found = new Map<string, TensorInfo & { times: number }>();
  for (const tensor of tensors) {
    const name = tensor.name.replace(/\.layers\.\d+\./, '.layers.*.');
    const key = `${name} ${tensor.shape} ${tensor.dtype}`;
    const known = found.get(key);
    if (known) known.times++;
    else found.set(key, { ...tensor, name, times: 1 });
  }
  return [...found.values()];
}

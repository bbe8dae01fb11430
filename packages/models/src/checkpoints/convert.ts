import {
  compareStateDict,
  type DeferredTensor,
  equalBytes,
  metadataOf,
  type SafetensorsDtype,
  type SafetensorsReader,
  type SafetensorsTensor,
  StateDictError,
  tensorFromFloats,
  toFloat32,
} from '@mamba-ts/nn';
import { checkChoice } from '@mamba-ts/ssm';
import type { Variable } from '@mamba-ts/tensor';
import { shapeDevice } from '../shape-device';
import { CheckpointError } from './checkpoint-error';
import { companionFiles, type CheckpointFiles, fileNames, readFile, readJson } from './files';
import { formatForModel, formatOfConfig } from './formats';
import type { HubOptions } from './hub-options';
import { buildModel, openCheckpoint, type WeightsDtype, weightsDtypes } from './load';
import { checkOptions, checkpointFiles, type PretrainedFile, type SavePretrainedOptions } from './save';
import { openWeights } from './weights';
import { writeFolder } from './write-folder';

export interface ConvertOptions extends SavePretrainedOptions, HubOptions {
  /** What matrices and tables are stored as; all else is float32 then. Default: every tensor as it is in the source. */
  readonly dtype?: WeightsDtype;
}

/**
 * Writes a checkpoint again, in a layout of your choice, without ever building the model: tensors go one by one from file
 * to file, bit for bit unless `dtype` says otherwise. Tokenizer files come along.
 *
 * @throws as `fromPretrained` and `savePretrained` do
 */
export async function convertCheckpoint(
  source: string | CheckpointFiles,
  folder: string,
  options: ConvertOptions = {},
): Promise<void> {
  const { dtype, layout, shardBytes, ...hub } = options;
  const saving = checkOptions({ layout, shardBytes });
  if (dtype !== undefined) checkChoice('convertCheckpoint', 'dtype', dtype, weightsDtypes);
  const files = await openCheckpoint(source, hub);
  const json = await readJson(files, fileNames.config);
  const from = formatOfConfig(json);
  const config = from.readConfig(json);
  const to = formatForModel(config, saving.layout);
  const reader = await openWeights(files);
  const shapes = shapeDevice();
  const model = buildModel(config, 'float32', shapes);
  try {
    const difference = compareStateDict(model, reader.entries, { rename: from.fromFile });
    if (difference.missing.length + difference.unexpected.length + difference.misfit.length > 0)
      throw new StateDictError(difference);
    const names = new Map([...reader.entries.keys()].map((name) => [from.fromFile(name), name]));
    await checkTied(model.stateDict(), names, reader);
    const tensors = new Map<string, DeferredTensor>();
    const aliases = keysByVariable(model.stateDict());
    for (const [variable, keys] of aliases) {
      const name = names.get(keys.find((key) => names.has(key))!)!;
      tensors.set(keys[0], stored(reader, name, dtype && target(variable, dtype)));
    }
    await writeFolder(folder, [
      ...checkpointFiles({
        ...{ format: to, config: to.writeConfig(config), tensors },
        ...{ tied: config.tieEmbeddings ?? true, shardBytes: saving.shardBytes },
      }),
      ...(await companions(files)),
    ]);
  } finally {
    model.dispose();
    shapes.dispose();
    await reader.close();
  }
}

/** Every variable with its keys: several for tied weights. */
function keysByVariable(state: ReadonlyMap<string, Variable>): Map<Variable, string[]> {
  const keys = new Map<Variable, string[]>();
  for (const [key, variable] of state) keys.set(variable, [...(keys.get(variable) ?? []), key]);
  return keys;
}

/** One of two copies is written: they must be the same. */
async function checkTied(
  state: ReadonlyMap<string, Variable>,
  names: ReadonlyMap<string, string>,
  reader: SafetensorsReader,
): Promise<void> {
  for (const keys of keysByVariable(state).values()) {
    const [first, ...others] = keys.flatMap((key) => names.get(key) ?? []);
    if (first === undefined || others.length === 0) continue;
    const { bytes } = await reader.read(first);
    for (const other of others) {
      if (!equalBytes(bytes, (await reader.read(other)).bytes))
        throw new CheckpointError(`convertCheckpoint: ${first} and ${other} differ, expected one tied weight`);
    }
  }
}

const halves: Readonly<Record<WeightsDtype, 'F32' | 'BF16' | 'F16'>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
};

/** As `convertWeights`: only what is a factor of matrix products may be stored in half precision. */
function target(variable: Variable, dtype: WeightsDtype): 'F32' | 'BF16' | 'F16' {
  return metadataOf(variable).halfPrecision === true ? halves[dtype] : 'F32';
}

function stored(reader: SafetensorsReader, name: string, dtype: 'F32' | 'BF16' | 'F16' | undefined): DeferredTensor {
  const entry = reader.entries.get(name)!;
  const as: SafetensorsDtype = dtype ?? entry.dtype;
  return {
    dtype: as,
    shape: entry.shape,
    bytes: async () => {
      const tensor: SafetensorsTensor = await reader.read(name);
      if (dtype === undefined || as === tensor.dtype) return tensor.bytes;
      return tensorFromFloats(toFloat32(tensor), tensor.shape, dtype).bytes;
    },
  };
}

async function companions(files: CheckpointFiles): Promise<PretrainedFile[]> {
  const found: PretrainedFile[] = [];
  for (const name of companionFiles) {
    if (!(await files.has(name))) continue;
    found.push({
      name,
      async *pieces() {
        yield await readFile(files, name);
      },
    });
  }
  return found;
}

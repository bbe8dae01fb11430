import { convertCheckpoint, type Layout, layouts, type WeightsDtype, weightsDtypes } from '@mamba-ts/models';
import { Arguments } from '../arguments';
import { checkpointHelp, checkpointOf, checkpointOptions } from '../checkpoint';
import { type Command, type Surroundings, UsageError } from '../command';

const help = `Writes a checkpoint in another layout, tensor by tensor; tokenizer files come along.

  mamba convert --model MODEL --out FOLDER --layout NAME [options]

${checkpointHelp}
  --out FOLDER             where to; may be given without --out, as the last argument
  --layout NAME            official:    config.json + pytorch_model.bin (state-spaces/mamba)
                           huggingface: config.json + model.safetensors (transformers)
  --dtype NAME             store matrices as ${weightsDtypes.join(', ')} and all else as float32
                           (default: every tensor as it is)
  --shard-bytes N          cut safetensors into files of at most N bytes (default: 5000000000)
`;

const options = {
  ...checkpointOptions,
  out: { type: 'string' },
  layout: { type: 'string' },
  dtype: { type: 'string' },
  'shard-bytes': { type: 'string' },
} as const;

export const convertCommand: Command = { name: 'convert', summary: 'writes a checkpoint in another layout', help, run };

async function run(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const given = new Arguments(args, options, 2);
  const { source, options: hub, others } = checkpointOf(given, surroundings);
  const out = given.text('out') ?? others[0];
  if (out === undefined) throw new UsageError('no folder is given, expected --out FOLDER');
  const layout = given.oneOf<Layout>('layout', layouts);
  if (layout === undefined) throw new UsageError(`no layout is given, expected --layout ${layouts.join(' or ')}`);
  await convertCheckpoint(source, out, {
    ...hub,
    layout,
    dtype: given.oneOf<WeightsDtype>('dtype', weightsDtypes),
    shardBytes: given.integer('shard-bytes', 1, Number.MAX_SAFE_INTEGER),
  });
  surroundings.stdout.write(`${out}: ${layout}\n`);
}

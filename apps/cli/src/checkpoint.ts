import type { HubOptions, LoadProgress } from '@mamba-ts/models';
import type { Arguments } from './arguments';
import { type OutputStream, type Surroundings, UsageError } from './command';

/** Options of every command that reads a checkpoint. */
export const checkpointOptions: Readonly<
  Record<'model' | 'revision' | 'cache-dir' | 'hub-url' | 'offline', { readonly type: 'string' | 'boolean' }>
> = {
  model: { type: 'string' },
  revision: { type: 'string' },
  'cache-dir': { type: 'string' },
  'hub-url': { type: 'string' },
  offline: { type: 'boolean' },
};

export const checkpointHelp = `  --model MODEL            a folder with config.json, or a repository of the Hugging Face hub
                           (owner/name); may be given without --model, as the first argument
  --revision NAME          branch, tag or commit of the repository (default: main)
  --cache-dir DIR          where downloads go (default: the hub libraries' own cache)
  --hub-url URL            another hub
  --offline                only what is in the cache
`;

/** Which checkpoint, and how it is reached. A private repository's token is in HF_TOKEN. */
export function checkpointOf(
  args: Arguments,
  { env, stderr, signal }: Surroundings,
): { readonly source: string; readonly options: HubOptions; readonly others: readonly string[] } {
  const named = args.text('model');
  const [first, ...rest] = args.positionals;
  const source = named ?? first;
  if (source === undefined) throw new UsageError('no model is given, expected --model FOLDER or --model OWNER/NAME');
  return {
    source,
    options: {
      revision: args.text('revision'),
      cacheDir: args.text('cache-dir'),
      hubUrl: args.text('hub-url'),
      offline: args.flag('offline') || undefined,
      accessToken: env.HF_TOKEN,
      signal,
      onProgress: progressOn(stderr),
    },
    others: named === undefined ? rest : args.positionals,
  };
}

/** A line that is written over while something is downloaded; nothing where nobody looks on. */
function progressOn(stream: OutputStream): ((progress: LoadProgress) => void) | undefined {
  if (!stream.isTTY) return undefined;
  let shown = 0;
  return ({ stage, name, done, total }) => {
    const now = Date.now();
    if (done < total && now - shown < 100) return;
    shown = now;
    const of =
      stage === 'download' ? `${readableBytes(done)} of ${readableBytes(total)}` : `${done} of ${total} tensors`;
    const label = stage === 'download' ? name : 'loading';
    stream.write(`\r\u001b[K${done < total ? `${label}: ${of}` : ''}`);
  };
}

export function readableBytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

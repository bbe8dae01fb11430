import { readFile } from 'node:fs/promises';
import { type CheckpointFiles, readCheckpointJson } from '@mamba-ts/models';
import { BpeTokenizer, ByteTokenizer, type Tokenizer } from '@mamba-ts/tokenizers';

/**
 * The tokenizer of a checkpoint: its tokenizer.json, or what `--tokenizer` names, a file or `bytes`. Null if it has
 * none.
 */
export async function tokenizerOf(files: CheckpointFiles, named: string | undefined): Promise<Tokenizer | null> {
  if (named === 'bytes') return new ByteTokenizer();
  if (named !== undefined) return new BpeTokenizer(JSON.parse(await readFile(named, 'utf8')));
  const json = await jsonOf(files, 'tokenizer.json');
  return json === null ? null : new BpeTokenizer(json);
}

/** Tokens that end a text: what the checkpoint's configs say, or else the tokenizer's own. */
export async function endTokens(files: CheckpointFiles, tokenizer: Tokenizer | null): Promise<number[]> {
  for (const file of ['generation_config.json', 'config.json']) {
    const json = await jsonOf(files, file);
    const ids = [(json as { eos_token_id?: unknown } | null)?.eos_token_id].flat();
    const valid = ids.filter((id): id is number => Number.isInteger(id));
    if (valid.length > 0) return valid;
  }
  const own = tokenizer?.eosId ?? tokenizer?.specialTokens.get('<|endoftext|>');
  return own === undefined ? [] : [own];
}

async function jsonOf(files: CheckpointFiles, file: string): Promise<unknown> {
  return (await files.has(file)) ? readCheckpointJson(files, file) : null;
}

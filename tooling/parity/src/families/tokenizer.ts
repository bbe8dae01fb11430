import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BpeTokenizer, StreamDecoder, type Tokenizer } from '@mamba-ts/tokenizers';
import { compared, type Family, type ParityOptions, type Result, unusable } from '../family';
import { caseNames } from '../fixture-case';
import { differingPlaces, inequality } from '../measure';

interface Sample {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded: string;
}

/** What is kept of a long text's ids. */
interface Digest {
  readonly count: number;
  readonly sha256_u32le: string;
  readonly first: readonly number[];
}

/**
 * `NAME.json` with a list of samples is for the tokenizer `NAME-tokenizer.json` of the data folder; `NAME.json` with a
 * digest is for the text `NAME.txt` there, and the tokenizer of the samples.
 */
export const tokenizerFamily: Family = {
  name: 'tokenizer',
  async *check(folder: string, { dataFolder }: ParityOptions): AsyncIterable<Result> {
    const digests: [string, Digest][] = [];
    const tokenizers = new Map<string, Tokenizer>();
    for (const name of await caseNames(folder, '.json')) {
      try {
        const content: unknown = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));
        if (isDigest(content)) {
          digests.push([name, content]);
          continue;
        }
        if (!Array.isArray(content) || content.length === 0 || !content.every(isSample)) {
          throw new TypeError('expected a list of { text, ids, decoded }, or { count, sha256_u32le, first }');
        }
        const json = await readFile(join(dataFolder, `${name}-tokenizer.json`), 'utf8');
        const tokenizer = new BpeTokenizer(json);
        tokenizers.set(name, tokenizer);
        yield* checkSamples(name, tokenizer, content);
      } catch (error) {
        yield unusable(name, `${(error as Error).message} (data folder: ${dataFolder}; --data names another)`);
      }
    }
    for (const [name, digest] of digests) {
      const [tokenizer] = tokenizers.values();
      if (tokenizer === undefined || tokenizers.size > 1) {
        yield unusable(name, `its tokenizer is not clear: the folder has samples of ${tokenizers.size} tokenizers`);
        continue;
      }
      try {
        const text = await readFile(join(dataFolder, `${name}.txt`), 'utf8');
        yield* checkDigest(name, tokenizer, text, digest);
      } catch (error) {
        yield unusable(name, `${(error as Error).message} (data folder: ${dataFolder}; --data names another)`);
      }
    }
  },
};

function* checkSamples(name: string, tokenizer: Tokenizer, samples: readonly Sample[]): Iterable<Result> {
  for (const [index, { text, ids, decoded }] of samples.entries()) {
    const caseName = `${name}[${index}]`;
    yield compared(caseName, 'ids', differingPlaces(tokenizer.encode(text), ids), 0);
    yield compared(caseName, 'decoded', inequality(tokenizer.decode(ids), decoded), 0);
    yield compared(caseName, 'decoded as a stream', inequality(decodeAsStream(tokenizer, ids), decoded), 0);
  }
}

function* checkDigest(name: string, tokenizer: Tokenizer, text: string, digest: Digest): Iterable<Result> {
  const ids = tokenizer.encode(text);
  const hash = createHash('sha256').update(littleEndian(ids)).digest('hex');
  yield compared(name, 'count of ids', Math.abs(ids.length - digest.count), 0);
  yield compared(name, 'first ids', differingPlaces(ids.subarray(0, digest.first.length), digest.first), 0);
  yield compared(name, 'SHA-256 of ids', inequality(hash, digest.sha256_u32le), 0);
  yield compared(name, 'decoded', inequality(tokenizer.decode(ids), text), 0);
  yield compared(name, 'decoded as a stream', inequality(decodeAsStream(tokenizer, ids), text), 0);
}

function decodeAsStream(tokenizer: Tokenizer, ids: ArrayLike<number>): string {
  const decoder = new StreamDecoder(tokenizer);
  return Array.from(ids, (id) => decoder.push(id)).join('') + decoder.flush();
}

/** The ids as unsigned 32-bit numbers, low byte first, on any host. */
function littleEndian(ids: Int32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * ids.length));
  for (const [index, id] of ids.entries()) view.setUint32(4 * index, id, true);
  return new Uint8Array(view.buffer);
}

function isSample(value: unknown): value is Sample {
  const { text, ids, decoded } = (value ?? {}) as Partial<Sample>;
  return typeof text === 'string' && typeof decoded === 'string' && isNumbers(ids);
}

function isDigest(value: unknown): value is Digest {
  const { count, sha256_u32le: hash, first } = (value ?? {}) as Partial<Digest>;
  return typeof count === 'number' && typeof hash === 'string' && isNumbers(first);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

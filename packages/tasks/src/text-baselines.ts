import { TaskError } from './errors';

/** Bytes predicted from the byte before: counts of pairs, plus one. */
export class BigramModel {
  /** (256, 256): how often byte j followed byte i. */
  private readonly counts = new Float64Array(256 * 256);
  private readonly totals = new Float64Array(256);

  constructor(train: Uint8Array) {
    for (let i = 1; i < train.length; i++) {
      this.counts[train[i - 1] * 256 + train[i]]++;
      this.totals[train[i - 1]]++;
    }
  }

  /** Probability of `next` after `previous`, with add-one smoothing over the 256 bytes. */
  probability(previous: number, next: number): number {
    return (this.counts[previous * 256 + next] + 1) / (this.totals[previous] + 256);
  }

  /** Mean bits for each byte of `text` but the first, from the byte before it. */
  bitsPerByte(text: Uint8Array): number {
    if (text.length < 2) throw new TaskError(`BigramModel: text has ${text.length} bytes, expected at least 2`);
    let bits = 0;
    for (let i = 1; i < text.length; i++) bits -= Math.log2(this.probability(text[i - 1], text[i]));
    return bits / (text.length - 1);
  }
}

/** What a deflate window reaches back to. */
const deflateWindow = 32 * 1024;

/** Bits per byte of `text` compressed by gzip -9. @throws TaskError where there is no zlib (browsers). */
export function gzipBitsPerByte(text: Uint8Array): number {
  return (8 * zlib().gzipSync(text, { level: 9 }).length) / nonEmpty(text).length;
}

/**
 * As `gzipBitsPerByte`, with the end of `train` known beforehand: deflate with a preset dictionary, the 32 KiB that its window reaches back to.
 * What gzip would make of the text if it had just read the training part.
 */
export function primedGzipBitsPerByte(text: Uint8Array, train: Uint8Array): number {
  const dictionary = train.subarray(Math.max(0, train.length - deflateWindow));
  return (8 * zlib().deflateRawSync(text, { level: 9, dictionary }).length) / nonEmpty(text).length;
}

function nonEmpty(text: Uint8Array): Uint8Array {
  if (text.length === 0) throw new TaskError('gzipBitsPerByte: text is empty, expected at least one byte');
  return text;
}

function zlib(): typeof import('node:zlib') {
  const module = typeof process === 'undefined' ? undefined : process.getBuiltinModule?.('node:zlib');
  if (!module) throw new TaskError('gzipBitsPerByte: this runtime has no zlib; it needs Node, Deno or Bun');
  return module;
}

import { TokenizerError } from './error';

/** The bytes of all tokens in one block: fifty thousand small arrays would cost more than their content. */
export class TokenTable {
  private readonly starts: Uint32Array;
  private readonly present: Uint8Array;
  private readonly bytes: Uint8Array;

  /** @param tokens token bytes by id; ids between them may be missing. */
  constructor(tokens: ReadonlyMap<number, Uint8Array>) {
    let size = 0;
    let byteCount = 0;
    for (const [id, bytes] of tokens) {
      size = Math.max(size, id + 1);
      byteCount += bytes.length;
    }
    this.starts = new Uint32Array(size + 1);
    this.present = new Uint8Array(size);
    this.bytes = new Uint8Array(byteCount);
    let at = 0;
    for (let id = 0; id < size; id++) {
      const bytes = tokens.get(id);
      if (bytes !== undefined) {
        this.present[id] = 1;
        this.bytes.set(bytes, at);
        at += bytes.length;
      }
      this.starts[id + 1] = at;
    }
  }

  /** One more than the largest id. */
  get size(): number {
    return this.present.length;
  }

  /** A view of one token's bytes. */
  get(id: number): Uint8Array {
    this.check(id);
    return this.bytes.subarray(this.starts[id]!, this.starts[id + 1]!);
  }

  /** The bytes of all `ids` in a row. */
  concatenate(ids: ArrayLike<number>): Uint8Array {
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      this.check(id, i);
      length += this.starts[id + 1]! - this.starts[id]!;
    }
    const out = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const end = this.starts[ids[i]! + 1]!;
      for (let from = this.starts[ids[i]!]!; from < end; from++) out[at++] = this.bytes[from]!;
    }
    return out;
  }

  private check(id: number, index?: number): void {
    checkId(id, this.size, index);
    if (this.present[id] === 0) {
      throw new TokenizerError('invalid-id', `${idName(index)} is ${id}, which no token has`);
    }
  }
}

/** @throws TokenizerError unless `id` is an integer from 0 to `vocabSize - 1`. */
export function checkId(id: number, vocabSize: number, index?: number): void {
  if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
    const got = typeof id === 'number' ? String(id) : `a ${typeof id}`;
    const expected = `an integer from 0 to ${vocabSize - 1}`;
    throw new TokenizerError('invalid-id', `${idName(index)} is ${got}, expected ${expected}`);
  }
}

function idName(index: number | undefined): string {
  return index === undefined ? 'token id' : `token id at index ${index}`;
}

/** @throws TokenizerError unless `text` is a string. */
export function checkText(text: unknown): asserts text is string {
  if (typeof text !== 'string') {
    throw new TokenizerError('invalid-argument', `text is of type ${typeof text}, expected a string`);
  }
}

/** UTF-8 that keeps a byte order mark and puts U+FFFD for what is not UTF-8. */
export function utf8Decoder(): TextDecoder {
  return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
}

import { quote, SafetensorsError } from './error';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

const MAX_DEPTH = 32;

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, '\\'],
  [0x2f, '/'],
  [0x62, '\b'],
  [0x66, '\f'],
  [0x6e, '\n'],
  [0x72, '\r'],
  [0x74, '\t'],
]);

/**
 * A strict JSON reader over bytes. `JSON.parse` will not do for headers from strangers: it takes the last of two equal
 * keys in silence, rounds integers over 2^53, needs the whole header as one string, and builds every value, wanted or
 * not. This one builds only what its caller asks for, and nests at most 32 deep.
 */
export class JsonReader {
  private at = 0;
  private depth = 0;
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** @param bytes UTF-8 text of one JSON value. @param what what the text is, for messages. */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly what: string,
  ) {}

  /** Reads `{...}`, calling `field` once per key, in order; it must consume the value. A key read twice is refused. */
  readObject(where: string, field: (key: string) => void): void {
    this.expect(OPEN_BRACE, `${where}, an object`);
    this.enter();
    const seen = new Set<string>();
    if (this.peek() === CLOSE_BRACE) {
      this.at++;
    } else {
      for (;;) {
        const key = this.readString(`a key of ${where}`);
        if (seen.has(key)) {
          throw new SafetensorsError('duplicate-key', `${this.what}: key ${quote(key)} stands twice in ${where}`);
        }
        seen.add(key);
        this.expect(COLON, `':' behind key ${quote(key)}`);
        field(key);
        if (this.endOfList(CLOSE_BRACE, where)) break;
      }
    }
    this.depth--;
  }

  /** Reads `[...]`, calling `item` once per element; it must consume the element. */
  readArray(where: string, item: (index: number) => void): void {
    this.expect(OPEN_BRACKET, `${where}, an array`);
    this.enter();
    if (this.peek() === CLOSE_BRACKET) {
      this.at++;
    } else {
      for (let index = 0; ; index++) {
        item(index);
        if (this.endOfList(CLOSE_BRACKET, where)) break;
      }
    }
    this.depth--;
  }

  readString(where: string): string {
    this.expect(QUOTE, `${where}, a string`);
    const start = this.at;
    // Most strings hold no escape: find the end, decode once.
    let end = start;
    while (end < this.bytes.length && this.bytes[end] !== QUOTE && this.bytes[end] !== BACKSLASH) {
      if (this.bytes[end]! < 0x20) this.fail(`a control character in ${where}`, end);
      end++;
    }
    if (this.bytes[end] === QUOTE) {
      this.at = end + 1;
      return this.decode(start, end, where);
    }
    return this.readEscapedString(start, where);
  }

  /** An integer from 0 to 2^53 - 1, written as digits only (no sign, fraction or exponent). */
  readNonNegativeInteger(where: string): number {
    const first = this.peek();
    const start = this.at;
    if (first === undefined || first < ZERO || first > NINE) this.fail(`expected ${where}, a non-negative integer`);
    let value = 0;
    while (this.at < this.bytes.length) {
      const digit = this.bytes[this.at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > Number.MAX_SAFE_INTEGER) this.fail(`${where} is over 2^53 - 1`, start);
      this.at++;
    }
    if (first === ZERO && this.at - start > 1) this.fail(`${where} has a leading zero`, start);
    const next = this.bytes[this.at];
    if (next === 0x2e || next === 0x65 || next === 0x45) this.fail(`${where} is not written as an integer`, start);
    return value;
  }

  /** Checks and drops one value of any kind. */
  skipValue(where: string): void {
    const first = this.peek();
    if (first === OPEN_BRACE) this.readObject(where, () => this.skipValue(where));
    else if (first === OPEN_BRACKET) this.readArray(where, () => this.skipValue(where));
    else if (first === QUOTE) this.readString(where);
    else if (first === MINUS || (first !== undefined && first >= ZERO && first <= NINE)) this.skipNumber(where);
    else if (first === 0x74) this.skipWord('true', where);
    else if (first === 0x66) this.skipWord('false', where);
    else if (first === 0x6e) this.skipWord('null', where);
    else this.fail(`expected ${where}, a value`);
  }

  /** Only white space may follow. */
  end(): void {
    if (this.peek() !== undefined) this.fail('expected nothing behind the value but white space');
  }

  private enter(): void {
    if (++this.depth > MAX_DEPTH) {
      throw new SafetensorsError('limit', `${this.what} nests deeper than ${MAX_DEPTH}`);
    }
  }

  private peek(): number | undefined {
    let byte = this.bytes[this.at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = this.bytes[++this.at];
    return byte;
  }

  private expect(byte: number, wanted: string): void {
    if (this.peek() !== byte) this.fail(`expected ${wanted}`);
    this.at++;
  }

  private endOfList(close: number, where: string): boolean {
    const byte = this.peek();
    if (byte !== COMMA && byte !== close) this.fail(`expected ',' or '${String.fromCharCode(close)}' in ${where}`);
    this.at++;
    return byte === close;
  }

  private decode(start: number, end: number, where: string): string {
    try {
      return this.utf8.decode(this.bytes.subarray(start, end));
    } catch (cause) {
      throw new SafetensorsError('invalid-json', `${this.what}: ${where} at byte ${start} is not UTF-8`, { cause });
    }
  }

  private readEscapedString(start: number, where: string): string {
    const parts: string[] = [];
    let from = start;
    this.at = start;
    for (;;) {
      const byte = this.bytes[this.at];
      if (byte === undefined) this.fail(`${where} has no closing quote`, start);
      if (byte < 0x20) this.fail(`a control character in ${where}`);
      if (byte === QUOTE || byte === BACKSLASH) {
        parts.push(this.decode(from, this.at, where));
        this.at++;
        if (byte === QUOTE) break;
        parts.push(this.readEscape(where));
        from = this.at;
      } else {
        this.at++;
      }
    }
    const text = parts.join('');
    // Escapes can spell half a surrogate pair, which no UTF-8 file can hold and no two parsers agree on.
    if (/\p{Surrogate}/u.test(text)) this.fail(`${where} has an unpaired surrogate`, start);
    return text;
  }

  private readEscape(where: string): string {
    const kind = this.bytes[this.at++];
    if (kind === 0x75) {
      let unit = 0;
      for (let i = 0; i < 4; i++) {
        const digit = hexDigit(this.bytes[this.at++]);
        if (digit < 0) this.fail(`a broken \\u escape in ${where}`, this.at - 1);
        unit = unit * 16 + digit;
      }
      return String.fromCharCode(unit);
    }
    const plain = kind === undefined ? undefined : ESCAPES.get(kind);
    if (plain === undefined) this.fail(`a broken escape in ${where}`, this.at - 1);
    return plain;
  }

  private skipDigits(where: string): void {
    const start = this.at;
    while (this.bytes[this.at]! >= ZERO && this.bytes[this.at]! <= NINE) this.at++;
    if (this.at === start) this.fail(`a broken number in ${where}`);
  }

  private skipNumber(where: string): void {
    if (this.bytes[this.at] === MINUS) this.at++;
    if (this.bytes[this.at] === ZERO) this.at++;
    else this.skipDigits(where);
    if (this.bytes[this.at] === 0x2e) {
      this.at++;
      this.skipDigits(where);
    }
    if (this.bytes[this.at] === 0x65 || this.bytes[this.at] === 0x45) {
      this.at++;
      if (this.bytes[this.at] === MINUS || this.bytes[this.at] === 0x2b) this.at++;
      this.skipDigits(where);
    }
  }

  private skipWord(word: string, where: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.at++] !== word.charCodeAt(i)) this.fail(`expected ${where}, a value`, this.at - 1);
    }
  }

  private fail(problem: string, at: number = this.at): never {
    const byte = this.bytes[at];
    const got = byte === undefined ? 'the end' : `byte 0x${byte.toString(16).padStart(2, '0')}`;
    throw new SafetensorsError('invalid-json', `${this.what}: ${problem}; got ${got} at byte ${at}`);
  }
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= ZERO && byte <= NINE) return byte - ZERO;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

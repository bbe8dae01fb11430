import {
  openShardedSafetensors,
  bytesSource,
  parseShardIndex,
  readSafetensors,
  SafetensorsError,
  type SafetensorsTensor,
  streamSafetensors,
  tensorFromFloats,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import { describe, expect, test } from 'vitest';
import { rawFile } from './safetensors-files';

/** A header with one tensor `a` whose fields are given as JSON text. */
function one(dtype: string, shape: string, offsets: string): string {
  return `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;
}

const none = new Uint8Array(0);
const four = new Uint8Array(4);
/** A header with tensor `a` in bytes 0 and 1, and tensor `b` at the offsets given. */
function two(second: string): string {
  const shape = '"dtype":"U8","shape":[2]';
  return `{"a":{${shape},"data_offsets":[0,2]},"b":{${shape},"data_offsets":${second}}}`;
}

const good = '"dtype":"U8","shape":[4],"data_offsets":[0,4]';

const wrongHeaders: [what: string, header: string, data: Uint8Array, code: string, says: string][] = [
  ['an array', '[]', four, 'invalid-header', "expected '{'"],
  ['a leading space', ` {"a":{${good}}}`, four, 'invalid-header', 'byte 32'],
  ['no closing brace', `{"a":{${good}}`, four, 'invalid-json', 'got the end'],
  ['a trailing comma', `{"a":{${good}},}`, four, 'invalid-json', 'a key'],
  ['text behind the object', `{"a":{${good}}}x`, four, 'invalid-json', 'nothing behind'],
  ['single quotes', `{'a':{${good}}}`, four, 'invalid-json', 'byte 0x27'],
  ['a comment', `{/**/"a":{${good}}}`, four, 'invalid-json', 'byte 0x2f'],
  ['a raw newline in a name', `{"a\n":{${good}}}`, four, 'invalid-json', 'control character'],
  ['a broken escape', `{"a\\x":{${good}}}`, four, 'invalid-json', 'escape'],
  ['a short \\u escape', `{"a\\u12":{${good}}}`, four, 'invalid-json', '\\u escape'],
  ['half a surrogate pair', `{"a\\ud800":{${good}}}`, four, 'invalid-json', 'surrogate'],
  ['a tensor twice', `{"a":{${good}},"a":{${good}}}`, four, 'duplicate-key', '"a" stands twice'],
  ['a tensor twice, once escaped', `{"a":{${good}},"\\u0061":{${good}}}`, four, 'duplicate-key', '"a" stands twice'],
  ['a field twice', `{"a":{"dtype":"U8",${good}}}`, four, 'duplicate-key', '"dtype" stands twice'],
  ['metadata twice', `{"__metadata__":{},"__metadata__":{}}`, four, 'duplicate-key', '__metadata__'],
  ['a metadata key twice', `{"__metadata__":{"k":"1","k":"2"}}`, four, 'duplicate-key', '"k" stands twice'],
  ['a metadata number', `{"__metadata__":{"k":1}}`, four, 'invalid-json', 'a string'],
  ['metadata that is a list', `{"__metadata__":[]}`, four, 'invalid-json', 'an object'],
  ['a tensor that is a string', `{"a":"b"}`, four, 'invalid-json', 'an object'],
  ['no dtype', `{"a":{"shape":[4],"data_offsets":[0,4]}}`, four, 'invalid-json', 'has no dtype'],
  ['no shape', `{"a":{"dtype":"U8","data_offsets":[0,4]}}`, four, 'invalid-json', 'has no shape'],
  ['no offsets', `{"a":{"dtype":"U8","shape":[4]}}`, four, 'invalid-json', 'has no data_offsets'],
  ['an unknown dtype', one('"F4"', '[4]', '[0,4]'), four, 'unknown-dtype', 'tensor "a" has dtype "F4"'],
  ['dtype __proto__', one('"__proto__"', '[4]', '[0,4]'), four, 'unknown-dtype', '"__proto__"'],
  ['a numeric dtype', one('8', '[4]', '[0,4]'), four, 'invalid-json', 'a string'],
  ['a negative dimension', one('"U8"', '[-4]', '[0,4]'), four, 'invalid-json', 'non-negative integer'],
  ['a fractional dimension', one('"U8"', '[4.0]', '[0,4]'), four, 'invalid-json', 'not written as an integer'],
  ['an exponent', one('"U8"', '[4e0]', '[0,4]'), four, 'invalid-json', 'not written as an integer'],
  ['a leading zero', one('"U8"', '[04]', '[0,4]'), four, 'invalid-json', 'leading zero'],
  ['a string dimension', one('"U8"', '["4"]', '[0,4]'), four, 'invalid-json', 'non-negative integer'],
  ['NaN', one('"U8"', '[NaN]', '[0,4]'), four, 'invalid-json', 'non-negative integer'],
  ['a dimension of 2^53', one('"U8"', '[9007199254740992]', '[0,4]'), four, 'invalid-json', 'over 2^53 - 1'],
  ['a dimension of 10^400', one('"U8"', `[1${'0'.repeat(400)}]`, '[0,4]'), four, 'invalid-json', 'over 2^53 - 1'],
  ['a product of 2^54', one('"U8"', '[134217728,134217728]', '[0,4]'), four, 'overflow', 'more than 2^53 - 1 bytes'],
  ['a product that wraps to 4', one('"U8"', '[4294967296,4294967296,4]', '[0,4]'), four, 'overflow', '2^53'],
  ['an overflow behind a zero', one('"U8"', '[0,4294967296,4294967296]', '[0,0]'), none, 'overflow', '2^53'],
  ['65 dimensions', one('"U8"', `[${Array(65).fill(1).join()}]`, '[0,1]'), four, 'invalid-json', 'more than 64'],
  ['one offset', one('"U8"', '[4]', '[4]'), four, 'invalid-offsets', 'two ordered offsets'],
  ['three offsets', one('"U8"', '[4]', '[0,4,4]'), four, 'invalid-json', 'more than 2'],
  ['offsets in wrong order', one('"U8"', '[4]', '[4,0]'), four, 'invalid-offsets', 'two ordered offsets'],
  ['an offset past the end', one('"U8"', '[5]', '[0,5]'), four, 'invalid-offsets', 'up to 4'],
  ['a huge offset', one('"U8"', '[4]', '[9007199254740987,9007199254740991]'), four, 'invalid-offsets', 'up to 4'],
  ['too few bytes', one('"F32"', '[2]', '[0,4]'), four, 'size-mismatch', 'needs 8 bytes, its data_offsets [0, 4]'],
  ['too many bytes', one('"U8"', '[2]', '[0,4]'), four, 'size-mismatch', 'needs 2 bytes'],
  ['an empty tensor with bytes', one('"F32"', '[0]', '[0,4]'), four, 'size-mismatch', 'needs 0 bytes'],
  ['bytes behind the last tensor', one('"U8"', '[3]', '[0,3]'), four, 'hole', 'ends at data offset 3'],
  ['bytes before the first tensor', one('"U8"', '[3]', '[1,4]'), four, 'hole', 'begins at data offset 1'],
  ['no tensors but bytes', '{}', four, 'hole', 'expected the end of the file, 4'],
  ['deep nesting', `{"a":{"x":${'['.repeat(40)}${']'.repeat(40)},${good}}}`, four, 'limit', 'nests deeper than 32'],
];

describe('a malformed file is refused with the reason', () => {
  test.each(wrongHeaders)('%s', (_what, header, data, code, says) => {
    const read = (): unknown => readSafetensors(rawFile(header, data));
    expect(read).toThrow(SafetensorsError);
    expect(read).toThrow(expect.objectContaining({ code, message: expect.stringContaining(says) }));
  });

  test('two tensors on the same bytes, and a hole between two', () => {
    expect(readSafetensors(rawFile(two('[2,4]'), four)).tensors.size).toBe(2);
    expect(() => readSafetensors(rawFile(two('[0,2]'), four))).toThrow(expect.objectContaining({ code: 'overlap' }));
    expect(() => readSafetensors(rawFile(two('[1,3]'), four))).toThrow(
      'tensor "b" begins at data offset 1 and overlaps the tensor before it, expected 2',
    );
    const file = rawFile(two('[3,5]'), new Uint8Array(5));
    expect(() => readSafetensors(file)).toThrow(expect.objectContaining({ code: 'hole' }));
  });

  test('a name that is not UTF-8', () => {
    const file = rawFile(`{"ab":{${good}}}`, four);
    file[10] = 0xff;
    expect(() => readSafetensors(file)).toThrow(
      expect.objectContaining({ code: 'invalid-json', message: expect.stringContaining('not UTF-8') }),
    );
  });

  test('lengths that lie', () => {
    const header = one('"U8"', '[4]', '[0,4]');
    const says = (length: bigint): unknown => {
      try {
        return readSafetensors(rawFile(header, four, length));
      } catch (error) {
        return (error as SafetensorsError).code;
      }
    };
    expect(says(0n)).toBe('invalid-header');
    expect(says(1n)).toBe('invalid-header');
    expect(says(BigInt(header.length + 5))).toBe('truncated');
    expect(says(100_000_000n)).toBe('truncated');
    expect(says(100_000_001n)).toBe('limit');
    expect(says(2n ** 64n - 1n)).toBe('limit');
    expect(says(BigInt(header.length - 1))).toBe('invalid-json');
    expect(says(BigInt(header.length + 4))).toBe('invalid-offsets');
    expect(() => readSafetensors(new Uint8Array(0))).toThrow(expect.objectContaining({ code: 'truncated' }));
    expect(() => readSafetensors(new Uint8Array(7))).toThrow('file has 7 bytes, expected at least 8');
  });

  test('limits are the caller’s to lower', () => {
    const file = writeSafetensors(new Map([1, 2, 3].map((i) => [`t${i}`, tensorFromFloats([i], [1])])));
    expect(() => readSafetensors(file, { maxTensors: 2 })).toThrow('header lists more than 2 tensors');
    expect(() => readSafetensors(file, { maxHeaderBytes: 16 })).toThrow('expected at most 16');
  });

  test('fields that this format does not have yet are passed over, when they are JSON', () => {
    const extra = '"x":{"y":[1,-2.5e+3,true,false,null,"z\\n",{}]},';
    expect(readSafetensors(rawFile(`{"a":{${extra}${good}}}`, four)).tensors.size).toBe(1);
  });

  test.each(['tru', '-', '1.', '1e', '01', '.5', '[1,]', '{"a":1,"a":1}', '"\\q"', '+1', 'nul'])(
    'an unknown field with value %s',
    (broken) => {
      expect(() => readSafetensors(rawFile(`{"a":{"x":${broken},${good}}}`, four))).toThrow(SafetensorsError);
    },
  );

  test('messages stay short and printable whatever the file says', () => {
    const name = `\u0007${'n'.repeat(100_000)}`;
    const header = JSON.stringify({ [name]: { dtype: 'Q'.repeat(100_000), shape: [4], data_offsets: [0, 4] } });
    expect(() => readSafetensors(rawFile(header, four))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^safetensors: \P{Cc}{20,400}$/u) }),
    );
  });

  test('an argument of the wrong kind', () => {
    expect(() => readSafetensors('file' as unknown as Uint8Array)).toThrow('file is a string, expected a Uint8Array');
  });
});

function write(name: string, tensor: unknown, metadata?: Record<string, string>): Uint8Array {
  return writeSafetensors(new Map([[name, tensor as SafetensorsTensor]]), metadata);
}

describe('the writer refuses what a reader would', () => {
  const bytes = new Uint8Array(4);

  test.each([
    ['__metadata__', { dtype: 'U8', shape: [4], bytes }, 'invalid-argument', '__metadata__'],
    ['\ud800', { dtype: 'U8', shape: [4], bytes }, 'invalid-argument', 'surrogate'],
    ['a', { dtype: 'Q8', shape: [4], bytes }, 'unknown-dtype', '"Q8"'],
    ['a', { dtype: 'U8', shape: [5], bytes }, 'size-mismatch', 'has 4 bytes, expected 5'],
    ['a', { dtype: 'U8', shape: [-4], bytes }, 'invalid-shape', 'expected integers'],
    ['a', { dtype: 'U8', shape: [NaN], bytes }, 'invalid-shape', 'expected integers'],
    ['a', { dtype: 'U8', shape: [1.5], bytes }, 'invalid-shape', 'expected integers'],
    ['a', { dtype: 'U8', shape: Array(65).fill(1), bytes }, 'invalid-shape', '65 dimensions'],
    ['a', { dtype: 'U8', shape: [2 ** 30, 2 ** 30], bytes }, 'overflow', '2^53'],
    ['a', { dtype: 'F32', shape: [4], bytes: new Float32Array(16) }, 'invalid-argument', 'no Uint8Array'],
  ])('%s %o', (name, tensor, code, says) => {
    const problem = { code, message: expect.stringContaining(says) };
    expect(() => write(name, tensor)).toThrow(expect.objectContaining(problem));
  });

  test('metadata that is no string, and a stream whose tensor changed size', async () => {
    const tensor = tensorFromFloats([1], [1]);
    expect(() => write('a', tensor, { k: 1 as unknown as string })).toThrow('metadata "k" is a number');
    expect(() => write('a', tensor, { k: '\udc00' })).toThrow('surrogate');
    const deferred = new Map([['a', { dtype: 'F32' as const, shape: [2], bytes: () => new Uint8Array(4) }]]);
    const stream = streamSafetensors(deferred);
    await stream.next();
    await expect(stream.next()).rejects.toMatchObject({ code: 'size-mismatch' });
  });
});

function index(map: Record<string, unknown>): string {
  return JSON.stringify({ metadata: { total_size: 4 }, weight_map: map });
}

describe('index files', () => {
  const unsafe = [
    ['../evil.safetensors', '/etc/passwd.safetensors', 'a/b.safetensors', 'x.safetensors/', 'file://x.safetensors'],
    ['a\\b.safetensors', '..\\x.safetensors', 'C:x.safetensors', 'x.safetensors\u0000', 'a\n.safetensors'],
    ['', '.', '..', '.safetensors', '.hidden.safetensors', 'x.bin', `${'n'.repeat(300)}.safetensors`],
  ].flat();

  test.each(unsafe)('refuses the file name %j before it opens anything', async (file) => {
    let opened = 0;
    const open = openShardedSafetensors(index({ ok: 'ok.safetensors', w: file }), () => {
      opened++;
      return bytesSource(writeSafetensors(new Map()));
    });
    await expect(open).rejects.toMatchObject({ name: 'SafetensorsError', code: 'unsafe-file-name' });
    expect(opened).toBe(0);
  });

  test.each([
    ['{}', 'invalid-json', 'no weight_map'],
    ['[]', 'invalid-json', 'an object'],
    ['', 'invalid-json', 'got the end'],
    ['{"weight_map":{"a":1}}', 'invalid-json', 'a string'],
    ['{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}', 'duplicate-key', '"a"'],
    ['{"weight_map":{},"weight_map":{}}', 'duplicate-key', 'weight_map'],
    ['{"weight_map":{}} x', 'invalid-json', 'white space'],
  ])('%s', (text, code, says) => {
    expect(() => parseShardIndex(text)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) }),
    );
  });

  test('limits', () => {
    const many = index({ a: 'x.safetensors', b: 'x.safetensors', c: 'x.safetensors' });
    expect(() => parseShardIndex(many, { maxTensors: 2 })).toThrow(expect.objectContaining({ code: 'limit' }));
    expect(() => parseShardIndex(many, { maxHeaderBytes: 10 })).toThrow(expect.objectContaining({ code: 'limit' }));
    expect(parseShardIndex(index({ __proto__x: 'x.safetensors' })).files).toEqual(['x.safetensors']);
  });
});

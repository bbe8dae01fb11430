import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  blobSource,
  bytesPerElement,
  bytesSource,
  fileHandleSource,
  fileSource,
  isSafetensorsDtype,
  openSafetensors,
  type RandomAccessSource,
  readSafetensors,
  safetensorsDtypes,
  type SafetensorsTensor,
  streamSafetensors,
  tensorFromFloats,
  toFloat32,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { counting, rawFile } from './safetensors-files';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

const everyDtype = new Map<string, SafetensorsTensor>(
  safetensorsDtypes.map((dtype) => [`t.${dtype}`, counting(dtype, [3, 2], bytesPerElement(dtype))]),
);

function byUtf8(list: readonly string[]): string[] {
  return list.toSorted((a, b) => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')));
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

describe('writing and reading', () => {
  test('all fifteen dtypes come back with shape, bytes and metadata', () => {
    expect([...safetensorsDtypes].toSorted()).toEqual(
      'BF16 BOOL F16 F32 F64 F8_E4M3 F8_E5M2 I16 I32 I64 I8 U16 U32 U64 U8'.split(' '),
    );
    const read = readSafetensors(writeSafetensors(everyDtype, { format: 'pt', 'ключ "\n': '值\u0000😀' }));
    expect(Object.fromEntries(read.metadata)).toEqual({ format: 'pt', 'ключ "\n': '值\u0000😀' });
    expect(read.tensors.size).toBe(15);
    for (const [name, tensor] of everyDtype) expect(read.tensors.get(name)).toEqual(tensor);
  });

  test('the layout is the documented one, byte for byte', () => {
    const file = writeSafetensors(
      new Map([
        ['b', { dtype: 'U8', shape: [3], bytes: Uint8Array.of(7, 8, 9) }],
        ['z', { dtype: 'F64', shape: [1], bytes: new Uint8Array(new Float64Array([1]).buffer) }],
        ['a', { dtype: 'U8', shape: [], bytes: Uint8Array.of(5) }],
      ]),
      { k: 'v' },
    );
    const header =
      '{"__metadata__":{"k":"v"},"z":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},' +
      '"a":{"dtype":"U8","shape":[],"data_offsets":[8,9]},"b":{"dtype":"U8","shape":[3],"data_offsets":[9,12]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
    expect(Buffer.from(file).toString('latin1')).toBe(
      Buffer.from(rawFile(padded, Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 5, 7, 8, 9))).toString('latin1'),
    );
    expect((8 + padded.length) % 8).toBe(0);
  });

  test('the order of the map does not change the file; names sort by code point', () => {
    const names = ['b', 'a', 'é', '\u{1f600}', '\uff41', 'A', 'aa', '__proto__', 'constructor', ''];
    const tensors = names.map((name, i) => [name, counting(i % 2 === 0 ? 'F32' : 'U8', [2], i % 2 === 0 ? 4 : 1)]);
    const forward = writeSafetensors(new Map(tensors as [string, SafetensorsTensor][]));
    const backward = writeSafetensors(new Map((tensors as [string, SafetensorsTensor][]).toReversed()));
    expect(backward).toEqual(forward);
    const order = [...readSafetensors(forward).tensors.keys()];
    expect(order).toEqual([
      ...byUtf8(names.filter((_, i) => i % 2 === 0)),
      ...byUtf8(names.filter((_, i) => i % 2 === 1)),
    ]);
  });

  test('reading makes views, not copies, also from an ArrayBuffer and from an odd offset', () => {
    const file = writeSafetensors(new Map([['w', tensorFromFloats([1, 2, 3], [3])]]));
    const view = readSafetensors(file).tensors.get('w')!;
    expect(view.bytes.buffer).toBe(file.buffer);
    expect(readSafetensors(file.buffer as ArrayBuffer).tensors.get('w')!.bytes.buffer).toBe(file.buffer);
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    const odd = readSafetensors(shifted.subarray(1)).tensors.get('w')!;
    expect(odd.bytes.byteOffset % 4).not.toBe(0);
    expect([...toFloat32(odd)]).toEqual([1, 2, 3]);
  });

  test('no tensors, scalars, empty tensors and a padded header', () => {
    expect(readSafetensors(rawFile('{}')).tensors.size).toBe(0);
    expect(readSafetensors(writeSafetensors(new Map())).tensors.size).toBe(0);
    const file = writeSafetensors(
      new Map([
        ['empty', tensorFromFloats([], [0, 7])],
        ['also', tensorFromFloats([], [0])],
        ['scalar', tensorFromFloats([2.5], [])],
      ]),
    );
    const { tensors } = readSafetensors(file);
    expect([...tensors].map(([name, { shape, bytes }]) => [name, shape, bytes.length])).toEqual([
      ['also', [0], 0],
      ['empty', [0, 7], 0],
      ['scalar', [], 4],
    ]);
    const padded = rawFile('{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}} \n\t ', Uint8Array.of(1));
    expect(readSafetensors(padded).tensors.size).toBe(1);
  });

  test('a tensor and a metadata key named __proto__ are ordinary names', () => {
    const file = writeSafetensors(
      new Map([['__proto__', tensorFromFloats([1], [1])]]),
      new Map([['__proto__', 'polluted']]),
    );
    const read = readSafetensors(file);
    expect([...toFloat32(read.tensors.get('__proto__')!)]).toEqual([1]);
    expect(read.metadata.get('__proto__')).toBe('polluted');
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
    expect(isSafetensorsDtype('__proto__')).toBe(false);
    expect(isSafetensorsDtype('constructor')).toBe(false);
  });

  test('the stream yields the same bytes, and asks for one tensor at a time', async () => {
    const whole = writeSafetensors(everyDtype, { a: 'b' });
    const asked: string[] = [];
    const deferred = new Map(
      [...everyDtype].map(([name, { dtype, shape, bytes }]) => [
        name,
        {
          dtype,
          shape,
          bytes: async () => {
            asked.push(name);
            return bytes;
          },
        },
      ]),
    );
    const stream = streamSafetensors(deferred, { a: 'b' });
    const parts: Uint8Array[] = [];
    for await (const chunk of stream) {
      parts.push(chunk);
      expect(asked).toHaveLength(parts.length - 1);
    }
    expect(new Uint8Array(Buffer.concat(parts))).toEqual(whole);
    expect(await collect(streamSafetensors(everyDtype, { a: 'b' }))).toEqual(whole);
  });
});

/** Counts what is read, so that a test can say that nothing was read twice or too early. */
function counted(source: RandomAccessSource): { source: RandomAccessSource; reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    reads,
    source: {
      ...source,
      read(offset, length) {
        reads.push([offset, length]);
        return source.read(offset, length);
      },
    },
  };
}

describe('reading on demand', () => {
  test.each(['bytes', 'blob', 'file handle', 'path'])('from %s: header first, then each tensor once', async (kind) => {
    const file = writeSafetensors(everyDtype, { format: 'pt' });
    const path = join(folder, 'on-demand.safetensors');
    await writeFile(path, file);
    const inner =
      kind === 'bytes'
        ? bytesSource(file)
        : kind === 'blob'
          ? blobSource(new Blob([Buffer.from(file)]))
          : kind === 'path'
            ? await fileSource(path)
            : await fileHandleSource(await open(path, 'r'));
    const { source, reads } = counted(inner);
    const reader = await openSafetensors(source);
    const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(reads).toEqual([
      [0, 8],
      [8, headerEnd - 8],
    ]);
    expect(reader.metadata.get('format')).toBe('pt');
    expect([...reader.entries.keys()].toSorted()).toEqual([...everyDtype.keys()].toSorted());
    reads.length = 0;
    for (const [name, tensor] of everyDtype) expect(await reader.read(name)).toEqual(tensor);
    expect(reads.reduce((sum, [, length]) => sum + length, headerEnd)).toBe(file.length);
    await expect(reader.read('absent')).rejects.toMatchObject({ code: 'missing-tensor' });
    await reader.close();
  });

  test('a source that returns too little is an error, not a short tensor', async () => {
    const file = writeSafetensors(new Map([['w', tensorFromFloats([1, 2, 3], [3])]]));
    const reader = await openSafetensors({
      size: file.length,
      read: (offset, length) => file.subarray(offset, offset + (length === 12 ? 11 : length)),
    });
    await expect(reader.read('w')).rejects.toMatchObject({ name: 'SafetensorsError', code: 'truncated' });
  });

  test('a file that was cut behind its header is refused when it is opened', async () => {
    const file = writeSafetensors(new Map([['w', tensorFromFloats([1, 2, 3], [3])]]));
    await expect(openSafetensors(bytesSource(file.subarray(0, -1)))).rejects.toMatchObject({ code: 'invalid-offsets' });
    await expect(openSafetensors(bytesSource(file.subarray(0, 5)))).rejects.toMatchObject({ code: 'truncated' });
    await expect(openSafetensors({ size: NaN, read: () => file })).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

const fixtures = fileURLToPath(new URL('../../../../shared/fixtures/', import.meta.url));
const present = existsSync(fixtures);
if (!present) console.log('left out: safetensors files of other writers (no ../shared/fixtures beside the repository)');

test.skipIf(!present)('files of the reference writer are read, and written again byte for byte equal data', () => {
  const paths = readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).filter((p) => p.endsWith('.safetensors'));
  expect(paths.length).toBeGreaterThan(0);
  for (const path of paths) {
    const file = new Uint8Array(readFileSync(join(fixtures, path)));
    const { tensors, metadata } = readSafetensors(file);
    expect({ path, empty: tensors.size === 0 }).toEqual({ path, empty: false });
    const again = readSafetensors(writeSafetensors(tensors, metadata));
    expect(again.metadata).toEqual(metadata);
    for (const [name, tensor] of tensors) {
      expect({ path, name, ...again.tensors.get(name) }).toEqual({ path, name, ...tensor });
    }
  }
});

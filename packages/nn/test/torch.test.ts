import { existsSync, readFileSync } from 'node:fs';
import {
  bytesPerElement,
  elementsOf,
  equalBytes,
  type RandomAccessSource,
  type SafetensorsDtype,
  safetensorsDtypes,
  type SafetensorsTensor,
} from '@mamba-ts/nn/safetensors';
import { openTorchFile, streamTorchFile } from '@mamba-ts/nn/torch';
import { describe, expect, it } from 'vitest';
import { crc32, portableCrc32 } from '../src/torch/zip/crc32';
import { counting } from './safetensors-files';
import { ascii, archive, collect, file, opened, pickle, written } from './torch-files';

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

describe('streamTorchFile and openTorchFile', () => {
  it('round-trip every dtype and rank bit for bit', async () => {
    const tensors = new Map<string, SafetensorsTensor>();
    for (const dtype of safetensorsDtypes) {
      for (const shape of [[], [1], [3, 5], [2, 0, 3], [2, 1, 3, 2]])
        tensors.set(`${dtype}.${shape.join('x')} ü`, counting(dtype, shape, bytesPerElement(dtype)));
    }
    const reader = await opened(await written(tensors));
    expect([...reader.entries.keys()]).toEqual([...tensors.keys()]);
    for (const [name, tensor] of tensors) expect(await reader.read(name), name).toEqual(tensor);
    await reader.close();
  });

  it('store a tensor with two names once', async () => {
    const weight = counting('F32', [64, 64], 4);
    const twice = await written(
      new Map([
        ['a', weight],
        ['b', weight],
      ]),
    );
    const once = await written(new Map([['a', weight]]));
    expect(twice.length - once.length).toBeLessThan(400);
    const reader = await opened(twice);
    expect(await reader.read('a')).toEqual(await reader.read('b'));
  });

  it('ask for one tensor at a time, and read no more than was asked for', async () => {
    const sizes = [1000, 30, 2000];
    let held = 0;
    const deferred = new Map(
      sizes.map((n, i) => {
        const bytes = (): Uint8Array => {
          expect(held++, 'tensors made before the one before was written').toBe(i);
          return new Uint8Array(4 * n).fill(i);
        };
        return [`t${i}`, { dtype: 'F32' as const, shape: [n], bytes }];
      }),
    );
    const whole = await collect(streamTorchFile(deferred));
    const reads: number[] = [];
    const source: RandomAccessSource = {
      size: whole.length,
      read(offset, length) {
        reads.push(length);
        return whole.slice(offset, offset + length);
      },
    };
    const reader = await openTorchFile(source);
    expect(Math.max(...reads), 'opening reads no tensor').toBeLessThanOrEqual(whole.length - 4 * 3030);
    reads.length = 0;
    expect((await reader.read('t1')).bytes).toEqual(new Uint8Array(120).fill(1));
    expect(reads.reduce((sum, n) => sum + n, 0)).toBeLessThan(120 + 100);
  });

  it('put contents where PyTorch does, at multiples of 64 bytes', async () => {
    const whole = await written(
      new Map([
        ['x', counting('F32', [7], 4)],
        ['y', counting('F32', [7], 4)],
      ]),
    );
    const content = counting('F32', [7], 4).bytes;
    const at = Buffer.from(whole).indexOf(content);
    expect(at % 64).toBe(0);
    expect(Buffer.from(whole).indexOf(content, at + 1) % 64).toBe(0);
  });

  it('refuse bytes that do not fit the shape', async () => {
    const wrong = { dtype: 'F32' as const, shape: [3], bytes: new Uint8Array(8) };
    await expect(written(new Map([['x', wrong]]))).rejects.toThrow(
      /shape \(3\) and dtype F32 has 8 bytes, expected 12/,
    );
  });
});

describe('openTorchFile', () => {
  it('follows strides, offsets and shared storages', async () => {
    const storage = pickle.storage('FloatStorage', '0', 12);
    const data = pickle.of({
      whole: pickle.tensor(storage, 0, [3, 4], [4, 1]),
      transposed: pickle.tensor(storage, 0, [4, 3], [1, 4]),
      column: pickle.tensor(storage, 1, [3], [4]),
      row: pickle.tensor(storage, 4, [1, 4], [99, 1]),
      repeated: pickle.tensor(storage, 2, [2, 3], [0, 0]),
      scalar: pickle.tensor(storage, 11, [], []),
      empty: pickle.tensor(storage, 99, [0, 7], [1, 1]),
    });
    const reader = await opened(file(data, { 0: floats(...Array.from({ length: 12 }, (_, i) => i)) }));
    const values = async (name: string): Promise<number[]> => Array.from(elementsOf(await reader.read(name)), Number);
    expect(await values('transposed')).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    expect(await values('column')).toEqual([1, 5, 9]);
    expect(await values('row')).toEqual([4, 5, 6, 7]);
    expect(await values('repeated')).toEqual([2, 2, 2, 2, 2, 2]);
    expect(await values('scalar')).toEqual([11]);
    expect(await values('empty')).toEqual([]);
    expect((await values('whole')).length).toBe(12);
    expect(reader.entries.get('transposed')).toMatchObject({ dtype: 'F32', shape: [4, 3] });
    await expect(reader.read('other')).rejects.toMatchObject({ code: 'missing-tensor' });
  });

  it.each<[string, SafetensorsDtype]>([
    ['DoubleStorage', 'F64'],
    ['HalfStorage', 'F16'],
    ['BFloat16Storage', 'BF16'],
    ['LongStorage', 'I64'],
    ['IntStorage', 'I32'],
    ['ShortStorage', 'I16'],
    ['CharStorage', 'I8'],
    ['ByteStorage', 'U8'],
    ['BoolStorage', 'BOOL'],
  ])('reads %s as %s', async (type, dtype) => {
    const data = pickle.of({ x: pickle.tensor(pickle.storage(type, '7', 2), 1, [1], [1]) });
    const bytes = Uint8Array.from({ length: 2 * bytesPerElement(dtype) }, (_, i) => i);
    const tensor = await (await opened(file(data, { 7: bytes }))).read('x');
    expect(tensor).toEqual({ dtype, shape: [1], bytes: bytes.slice(bytesPerElement(dtype)) });
  });

  it('names tensors of nested dicts, and leaves out what is no tensor', async () => {
    const tensor = pickle.tensor(pickle.storage('FloatStorage', '0', 1), 0, [1], [1]);
    const inner = pickle.of({ weight: tensor, note: pickle.none }).slice(2, -1);
    const data = pickle.of({ epoch: pickle.int(3), state_dict: inner, 'x.y': tensor });
    const reader = await opened(file(data, { 0: floats(1) }));
    expect([...reader.entries.keys()]).toEqual(['state_dict.weight', 'x.y']);
  });

  it('reads parameters as their tensors', async () => {
    const { global, mark, none, tuple, reduce } = pickle;
    const tensor = pickle.tensor(pickle.storage('FloatStorage', '0', 1), 0, [1], [1]);
    const parts = [
      global('torch._utils', '_rebuild_parameter'),
      mark,
      tensor,
      Uint8Array.of(0x88),
      none,
      tuple,
      reduce,
    ];
    const reader = await opened(file(pickle.of({ x: Buffer.concat(parts) }), { 0: floats(5) }));
    expect((await reader.read('x')).bytes).toEqual(floats(5));
  });

  it('reads a file of PyTorch itself', async () => {
    const path = new URL('../../../../shared/fixtures/mamba-official/pytorch_model.bin', import.meta.url);
    if (!existsSync(path)) {
      console.log('left out, for want of ../shared/fixtures: a file of PyTorch');
      return;
    }
    const reader = await opened(new Uint8Array(readFileSync(path)));
    expect(reader.entries.size).toBeGreaterThan(10);
    const copied = new Map<string, SafetensorsTensor>();
    for (const name of reader.entries.keys()) copied.set(name, await reader.read(name));
    const again = await opened(await written(copied));
    for (const [name, tensor] of copied) expect(await again.read(name)).toEqual(tensor);
    expect(copied.get('lm_head.weight')).toEqual(copied.get('backbone.embedding.weight'));
  });

  it('reads zip archives of other writers: ZIP64 records, data descriptors, comments', async () => {
    const data = pickle.of({ x: pickle.tensor(pickle.storage('FloatStorage', '0', 2), 0, [2], [1]) });
    const whole = file(data, { 0: floats(1, 2) });
    // A comment moves the end record away from the end.
    const commented = Uint8Array.from([...whole, ...ascii('hello')]);
    new DataView(commented.buffer).setUint16(whole.length - 2, 5, true);
    expect((await (await opened(commented)).read('x')).bytes).toEqual(floats(1, 2));
    expect((await (await opened(withZip64(whole))).read('x')).bytes).toEqual(floats(1, 2));
  });
});

/** The same archive with its directory's place and size in ZIP64 records only. */
function withZip64(whole: Uint8Array): Uint8Array {
  const end = whole.slice(-22);
  const view = new DataView(end.buffer);
  const [count, size, offset] = [view.getUint16(10, true), view.getUint32(12, true), view.getUint32(16, true)];
  const wide = new DataView(new ArrayBuffer(56 + 20));
  wide.setUint32(0, 0x06064b50, true);
  wide.setBigUint64(4, 44n, true);
  [count, count, size, offset].forEach((value, i) => wide.setBigUint64(24 + 8 * i, BigInt(value), true));
  wide.setUint32(56, 0x07064b50, true);
  wide.setBigUint64(64, BigInt(whole.length - 22), true);
  wide.setUint32(72, 1, true);
  [8, 10].forEach((at) => view.setUint16(at, 0xffff, true));
  [12, 16].forEach((at) => view.setUint32(at, 0xffffffff, true));
  return Uint8Array.from([...whole.subarray(0, -22), ...new Uint8Array(wide.buffer), ...end]);
}

describe('crc32', () => {
  it('is that of the zip format, in both implementations', () => {
    for (const sum of [crc32, portableCrc32]) {
      expect(sum(ascii('123456789'))).toBe(0xcbf43926);
      expect(sum(new Uint8Array(0))).toBe(0);
      for (let length = 1; length < 9; length++) {
        const bytes = Uint8Array.from({ length }, (_, i) => 200 + 31 * i);
        expect(sum(bytes)).toBe(crc32(Uint8Array.from(bytes)));
      }
    }
  });
});

describe('equalBytes', () => {
  it('sees a difference at any place, aligned or not', () => {
    const a = Uint8Array.from({ length: 23 }, (_, i) => i);
    for (const [from, to] of [
      [0, 23],
      [1, 23],
      [4, 21],
      [3, 3],
    ]) {
      const part = a.subarray(from, to);
      expect(equalBytes(part, part.slice())).toBe(true);
      for (let i = 0; i < part.length; i++) {
        const other = part.slice();
        other[i] ^= 1;
        expect(equalBytes(part, other), `byte ${i}`).toBe(false);
      }
      expect(equalBytes(part, new Uint8Array(part.length + 1))).toBe(false);
    }
  });
});

describe('ZIP64 places', () => {
  it('are written and read behind 4 GiB without holding them', async () => {
    const gigabytes = 5;
    const { ZipWriter } = await import('../src/torch/zip/writer');
    const parts: { at: number; bytes: Uint8Array }[] = [];
    let at = 0;
    const add = (pieces: Iterable<Uint8Array>): void => {
      for (const bytes of pieces) {
        parts.push({ at, bytes });
        at += bytes.length;
      }
    };
    const zip = new ZipWriter();
    const data = pickle.of({ x: pickle.tensor(pickle.storage('FloatStorage', '1', 2), 0, [2], [1]) });
    add(zip.entry('model/data.pkl', data));
    // Where the entries of these five gigabytes would be, the source gives zeros.
    (zip as unknown as { at: number }).at = at += gigabytes * 2 ** 30;
    add(zip.entry('model/data/1', floats(3, 4)));
    add(zip.end());
    const source: RandomAccessSource = {
      size: at,
      read(offset, length) {
        const out = new Uint8Array(length);
        for (const part of parts) {
          const from = Math.max(offset, part.at);
          const to = Math.min(offset + length, part.at + part.bytes.length);
          if (from < to) out.set(part.bytes.subarray(from - part.at, to - part.at), from - offset);
        }
        return out;
      },
    };
    const reader = await openTorchFile(source);
    expect((await reader.read('x')).bytes).toEqual(floats(3, 4));
  });
});

describe('an archive', () => {
  const good = (): Uint8Array => file(pickle.of({}));
  it.each<[string, () => Uint8Array, string, RegExp]>([
    ['no archive', () => ascii('not a zip file at all, though it is long enough'), 'not-a-zip', /no end of a zip/],
    ['nothing', () => new Uint8Array(0), 'not-a-zip', /no end/],
    ['without a pickle', () => archive({ 'model/version': ascii('3') }), 'missing-entry', /0 entries FOLDER\/data.pkl/],
    [
      'of two models',
      () => archive({ 'a/data.pkl': ascii('.'), 'b/data.pkl': ascii('.') }),
      'missing-entry',
      /2 entries/,
    ],
    ['with a path upwards', () => archive({ 'model/../../x': ascii('') }), 'unsafe-path', /"model\/\.\.\/\.\.\/x"/],
    ['with an absolute path', () => archive({ '/etc/passwd': ascii('') }), 'unsafe-path', /"\/etc\/passwd"/],
    ['with a path of Windows', () => archive({ 'C:\\x': ascii('') }), 'unsafe-path', /inside its folder/],
    ['cut short', () => good().subarray(20), 'invalid-zip', /./],
    [
      'of a big-endian machine',
      () => archive({ 'm/data.pkl': pickle.of({}), 'm/byteorder': ascii('big') }),
      'big-endian',
      /"big"/,
    ],
  ])('%s is refused', async (_what, make, code, message) => {
    await expect(opened(make())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('compressed or encrypted is refused by name, and so are two entries of one name', async () => {
    const patched = (at: number, value: number): Uint8Array => {
      const whole = good();
      const directory = new DataView(whole.buffer).getUint32(whole.length - 22 + 16, true);
      whole[directory + at] = value;
      return whole;
    };
    await expect(opened(patched(10, 8))).rejects.toMatchObject({ code: 'not-stored' });
    await expect(opened(patched(8, 1))).rejects.toThrow(/"model\/data.pkl" is encrypted/);
    const zip = archive({ 'model/data.pkl': pickle.of({}), 'model/data.pkm': pickle.of({}) });
    const text = Buffer.from(zip).toString('latin1').replaceAll('data.pkm', 'data.pkl');
    await expect(opened(Buffer.from(text, 'latin1'))).rejects.toThrow(/two entries "model\/data.pkl"/);
  });

  it('with another name in the entry than in the directory is refused', async () => {
    const whole = good();
    whole[30] = 'M'.charCodeAt(0);
    await expect(opened(whole)).rejects.toThrow(/another name in its own header: "Model\/data.pkl"/);
  });
});

describe('a pickle', () => {
  const { global, mark, text, tuple, reduce, none, start, stop } = pickle;
  const call = (module: string, name: string, ...args: Uint8Array[]): Uint8Array =>
    Buffer.concat([global(module, name), mark, ...args, tuple, reduce]);
  const one = (value: Uint8Array): Uint8Array => pickle.of({ x: value });
  const storage = (key = '0', length = 2): Uint8Array => pickle.storage('FloatStorage', key, length);
  const tensor = (offset: number, shape: number[], strides: number[]): Uint8Array =>
    one(pickle.tensor(storage(), offset, shape, strides));

  it.each<[string, Uint8Array, string, RegExp]>([
    ['os.system', one(call('os', 'system', text('echo owned'))), 'forbidden-global', /"os" "system".*nothing was run/],
    ['builtins.eval', one(call('builtins', 'eval', text('1'))), 'forbidden-global', /"builtins" "eval"/],
    ['torch.load', one(call('torch', 'load', text('x'))), 'forbidden-global', /"torch" "load"/],
    ['prototype names', one(call('', 'constructor')), 'invalid-pickle', /empty name/],
    ['__proto__', one(call('torch', '__proto__')), 'forbidden-global', /__proto__/],
    ['complex numbers', one(pickle.storage('ComplexFloatStorage', '0', 1)), 'unsupported-dtype', /ComplexFloatStorage/],
    [
      'a storage called as a function',
      one(call('torch', 'FloatStorage')),
      'forbidden-global',
      /calls torch.FloatStorage/,
    ],
    [
      'STACK_GLOBAL',
      Buffer.concat([start, text('os'), text('system'), Uint8Array.of(0x93), stop]),
      'forbidden-opcode',
      /STACK_GLOBAL \(0x93\)/,
    ],
    ['INST', Buffer.concat([start, mark, ascii('ios\nsystem\n'), stop]), 'forbidden-opcode', /INST/],
    ['NEWOBJ', Buffer.concat([start, none, none, Uint8Array.of(0x81), stop]), 'forbidden-opcode', /NEWOBJ/],
    ['another protocol', Uint8Array.of(0x80, 4, 0x4e, 0x2e), 'invalid-pickle', /protocol 4/],
    ['no protocol', ascii('N.'), 'invalid-pickle', /starts with byte 78/],
    ['a list', Buffer.concat([start, ascii(']'), stop]), 'invalid-pickle', /holds a list, expected a dict/],
    ['an empty stack', Buffer.concat([start, reduce, stop]), 'invalid-pickle', /empty stack/],
    ['values left over', Buffer.concat([start, none, none, stop]), 'invalid-pickle', /left on its stack/],
    ['bytes behind its end', Buffer.concat([pickle.of({}), none]), 'invalid-pickle', /ends at byte/],
    ['no end', start, 'invalid-pickle', /inside a value/],
    ['an unknown memo', Buffer.concat([start, Uint8Array.of(0x68, 5), stop]), 'invalid-pickle', /memo 5/],
    ['a storage that is a path', one(pickle.tensor(storage('../../0'), 0, [1], [1])), 'unsafe-path', /key "..\/..\/0"/],
    ['a storage that is not there', one(pickle.tensor(storage('9'), 0, [1], [1])), 'missing-entry', /data\/9/],
    [
      'a storage of another size',
      one(pickle.tensor(storage('0', 3), 0, [1], [1])),
      'invalid-tensor',
      /has 8 bytes, expected 12/,
    ],
    ['a tensor past its storage', tensor(1, [2], [1]), 'invalid-tensor', /reaches element 2, expected less than its 2/],
    ['strides past it', tensor(0, [2, 2], [2 ** 30, 1]), 'invalid-tensor', /reaches element/],
    ['a stride too few', tensor(0, [2, 1], [1]), 'invalid-tensor', /1 strides/],
    ['a tensor blown up by strides of 0', tensor(0, [2 ** 30, 2 ** 30], [0, 0]), 'limit', /repeats 1 elements/],
    ['too many axes', tensor(0, Array(65).fill(1), Array(65).fill(1)), 'limit', /65 axes/],
    [
      'attributes of a tensor',
      one(Buffer.concat([pickle.tensor(storage(), 0, [1], [1]), pickle.dict, ascii('b')])),
      'invalid-pickle',
      /attributes of a tensor/,
    ],
  ])('with %s is refused', async (_what, data, code, message) => {
    const promise = opened(file(data, { 0: floats(1, 2) }));
    await expect(promise).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('that is too long, lists too much or holds itself is refused', async () => {
    const item = pickle.tensor(storage(), 0, [1], [1]);
    const three = file(pickle.of({ a: item, b: item, c: item }), { 0: floats(1, 2) });
    await expect(opened(three, { maxTensors: 2 })).rejects.toMatchObject({ code: 'limit' });
    await expect(opened(three, { maxPickleBytes: 20 })).rejects.toThrow(/expected at most 20/);
    const [put, get] = [Uint8Array.of(0x71, 0), Uint8Array.of(0x68, 0)];
    const inItself = Buffer.concat([start, pickle.dict, put, text('x'), get, ascii('s'), stop]);
    await expect(opened(file(inItself))).rejects.toMatchObject({ code: 'limit' });
  });
});

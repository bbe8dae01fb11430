import {
  bytesSource,
  elementsOf,
  openSafetensors,
  parseShardIndex,
  readSafetensors,
  SafetensorsError,
  type SafetensorsTensor,
  tensorFromFloats,
  tensorFromIntegers,
  toFloat32,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import { expect, test } from 'vitest';
import { counting, rawFile, seededRandom } from './safetensors-files';

const MUTATIONS = 100_000;
const random = seededRandom(0x5afe7e);
const below = (limit: number): number => Math.floor(random() * limit);
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;

const seeds: readonly Uint8Array[] = [
  writeSafetensors(new Map([['w', tensorFromFloats([1, 2, 3, 4], [2, 2])]])),
  writeSafetensors(
    new Map<string, SafetensorsTensor>([
      ['layers.0.weight', tensorFromFloats([1, 2, 3, 4, 5, 6], [3, 2], 'BF16')],
      ['layers.0.bias', tensorFromFloats([1, 2], [2], 'F16')],
      ['ids', tensorFromIntegers([1, 2, 3], [3], 'I64')],
    ]),
    { format: 'pt', 'ünïcode': '😀' },
  ),
  writeSafetensors(new Map([['__proto__', counting('BOOL', [3], 1)], ['empty', counting('F64', [0, 3], 8)]])),
  rawFile('{}'),
];

/** Texts that JSON-level mutations put in place of a number, a string or a value. */
const replacements = [
  ['0', '1', '-1', '4', '1e3', '1.5', '00', '9007199254740991', '9007199254740992', '18446744073709551616'],
  ['null', 'true', '[]', '{}', '[[[[', ' ', ',', ':', '}', ']', '"', '\\', '/*', '\u0000'],
  ['"F32"', '"BF16"', '"F4"', '""', '"__proto__"', '"__metadata__"', '"\\ud800"', '"\\u0041"'],
  ['[0,0]', '[4294967296,4294967296]', '{"dtype":"U8","shape":[],"data_offsets":[0,1]}'],
].flat();

/** One change of the header's text: tokens swapped, replaced, doubled, dropped. */
function mutateJson(file: Uint8Array): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|\d+|[{}[\],:]|\s+/g) ?? [];
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const at = below(tokens.length);
    const kind = below(5);
    if (kind === 0) tokens[at] = pick(replacements);
    else if (kind === 1) tokens.splice(at, 1);
    else if (kind === 2) tokens.splice(at, 0, pick(tokens));
    else if (kind === 3) tokens.splice(at, 0, ...tokens.slice(at, at + 1 + below(12)));
    else tokens[at] = pick(tokens);
  }
  return rawFile(tokens.join(''), file.subarray(8 + length));
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: number[];
}

/** One change of what the header says, which stays well-formed JSON: this reaches the checks behind the parser. */
function mutateEntries(file: Uint8Array): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<string, Entry>;
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  for (let changes = 1 + below(2); changes > 0 && entries.length > 0; changes--) {
    const [, entry] = pick(entries);
    const [, other] = pick(entries);
    const kind = below(7);
    const numbers = pick([entry.shape, entry.data_offsets]);
    if (kind === 0) entry.dtype = pick(['U8', 'F16', 'F32', 'F64', 'I64', 'BOOL', 'F8_E4M3', 'F4', 'toString']);
    else if (kind === 1) numbers[below(numbers.length + 1)] = pick([0, 1, 2, 3, 4, 8, 16, 2 ** 26, 2 ** 53 - 1]);
    else if (kind === 2) entry.data_offsets = other.data_offsets;
    else if (kind === 3) entry.shape = other.shape;
    else if (kind === 4) entry.data_offsets = entry.data_offsets.map((offset) => Math.max(0, offset + below(9) - 4));
    else if (kind === 5) entries.splice(below(entries.length), 1);
    else entries.push([`new${below(3)}`, { ...other }]);
  }
  const json = entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  return rawFile(`{${json.join(',')}}`, file.subarray(8 + length));
}

function mutate(seed: Uint8Array): Uint8Array {
  const kind = below(8);
  if (kind === 0) return seed.slice(0, below(seed.length));
  if (kind >= 6) return mutateEntries(seed);
  if (kind >= 4) return mutateJson(seed);
  const tail = kind === 1 ? Array.from({ length: 1 + below(16) }, () => below(256)) : [];
  const file = new Uint8Array([...seed, ...tail]);
  if (kind === 2) {
    const view = new DataView(file.buffer);
    const lies = [0n, 1n, 2n, 8n, 2n ** 53n, 2n ** 64n - 1n, 100_000_000n, 100_000_001n];
    const honest = view.getBigUint64(0, true);
    const near = BigInt.asUintN(64, honest + BigInt(below(17) - 8));
    view.setBigUint64(0, random() < 0.5 ? near : pick(lies), true);
  } else if (kind === 3) {
    for (let changes = 1 + below(4); changes > 0; changes--) {
      const at = below(file.length);
      file[at] = random() < 0.5 ? file[at]! ^ (1 << below(8)) : below(256);
    }
  }
  return file;
}

/** What a file that is accepted must still promise. */
function checkAccepted(file: Uint8Array): void {
  const { tensors } = readSafetensors(file);
  const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
  let covered = headerEnd;
  for (const tensor of tensors.values()) {
    covered += tensor.bytes.length;
    if (elementsOf(tensor).length !== tensor.shape.reduce((product, dim) => product * dim, 1)) {
      throw new Error('an accepted tensor has another number of elements than its shape');
    }
    toFloat32(tensor);
  }
  if (covered !== file.length) throw new Error('accepted tensors do not cover the file');
}

test(`${MUTATIONS} mutated files: refused with a SafetensorsError or sound, in bounded memory`, async () => {
  const started = performance.now();
  const heapBefore = process.memoryUsage().heapUsed;
  let peak = heapBefore;
  let accepted = 0;
  const codes = new Map<string, number>();
  for (let i = 0; i < MUTATIONS; i++) {
    const file = mutate(pick(seeds));
    try {
      if (i % 10 === 0) await openSafetensors(bytesSource(file));
      checkAccepted(file);
      accepted++;
    } catch (error) {
      if (!(error instanceof SafetensorsError)) {
        throw new Error(`mutation ${i}: ${String(error)} for file ${Buffer.from(file).toString('base64')}`, {
          cause: error,
        });
      }
      codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
    }
    if (i % 1000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed);
  }
  const seconds = (performance.now() - started) / 1000;
  const counts = [...codes].map(([code, count]) => `${code} ${count}`).join(', ');
  console.log(`fuzz: ${seconds.toFixed(1)} s, ${accepted} accepted, ${counts}`);
  // The mutations must reach behind the first check, or they test nothing.
  const deep = ['invalid-offsets', 'size-mismatch', 'hole', 'overlap', 'overflow', 'duplicate-key', 'unknown-dtype'];
  const rare = ['invalid-json', 'truncated', 'limit', 'invalid-header', ...deep].filter(
    (code) => (codes.get(code) ?? 0) < 20,
  );
  expect(rare).toEqual([]);
  expect(accepted).toBeGreaterThan(1000);
  expect(accepted).toBeLessThan(MUTATIONS / 2);
  expect(peak - heapBefore).toBeLessThan(256 * 2 ** 20);
  expect(seconds).toBeLessThan(20);
});

/** File names of an index, none when it is refused as it should be. */
function filesOf(index: Uint8Array): readonly string[] {
  try {
    return parseShardIndex(index).files;
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    return [];
  }
}

test('mutated index files: refused with a SafetensorsError or read', () => {
  let read = 0;
  const seed = '{"metadata":{"total_size":4},"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}}';
  for (let i = 0; i < 10_000; i++) {
    const bytes = new TextEncoder().encode(seed);
    for (let changes = 1 + below(3); changes > 0; changes--) bytes[below(bytes.length)] = below(256);
    for (const file of filesOf(bytes)) {
      expect(file).not.toMatch(/[/\\]|^\./);
      read++;
    }
  }
  expect(read).toBeGreaterThan(100);
});

test('a header of the largest size that is all one value is refused without building it', () => {
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  const brackets = rawFile(`{"a":${'['.repeat(30_000_000)}`);
  expect(() => readSafetensors(brackets)).toThrow(SafetensorsError);
  const dims = rawFile(`{"a":{"shape":[${'1,'.repeat(15_000_000)}1]}}`);
  expect(() => readSafetensors(dims)).toThrow(expect.objectContaining({ code: 'invalid-json' }));
  const after = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  expect(after - before).toBeLessThan(400 * 2 ** 20);
});

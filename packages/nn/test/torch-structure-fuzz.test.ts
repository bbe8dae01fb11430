import { elementsOf } from '@mamba-ts/nn/safetensors';
import { TorchFileError } from '@mamba-ts/nn/torch';
import { fuzz, Mutator } from '@mamba-ts/vitest-preset/fuzz';
import { expect, test } from 'vitest';
import { counting } from './safetensors-files';
import { archive, ascii, file, join, opened, pickle, written } from './torch-files';

const mutations = 100_000;
const limits = { maxExpandedBytes: 2 ** 16, maxTensors: 50, maxPickleBytes: 2 ** 14 };

/** Reads everything; what is accepted must be what it says. */
async function readAll(bytes: Uint8Array): Promise<void> {
  const reader = await opened(bytes, limits);
  for (const name of reader.entries.keys()) {
    const tensor = await reader.read(name);
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    if (elementsOf(tensor).length !== elements) throw new Error(`${name} has ${elementsOf(tensor).length} elements, its shape ${elements}`);
  }
}

const storages = { 0: new Uint8Array(48).map((_, i) => i), 1: new Uint8Array(6) };
const [floats, halves] = [pickle.storage('FloatStorage', '0', 12), pickle.storage('HalfStorage', '1', 3)];
/** The items of a state dict: alternately a name and a tensor. */
const items = [
  pickle.text('x'), pickle.tensor(floats, 0, [4, 3], [1, 4]), pickle.text('layers.0.w'), pickle.tensor(floats, 1, [3], [4]), pickle.text('h'),
  pickle.tensor(halves, 0, [3], [1]),
];
const program: readonly Uint8Array[] = [pickle.start, pickle.dict, pickle.mark, ...items, pickle.setItems, pickle.stop];

/** Names that no state dict needs; each would do harm if it were called. */
const foreign: readonly Uint8Array[] = [
  ['os', 'system'], ['posix', 'system'], ['builtins', 'eval'], ['__builtin__', 'exec'], ['subprocess', 'Popen'], ['torch', 'load'], ['torch.hub', 'load'],
  ['torch._utils', '_rebuild_tensor'], ['collections', 'defaultdict'], ['Torch', 'FloatStorage'], ['torch', 'floatstorage'], ['', ''],
].map(([module, name]) => pickle.global(module!, name!));

const instructions: readonly Uint8Array[] = [
  ...foreign, ...items, floats, halves, pickle.none, pickle.mark, pickle.tuple, pickle.reduce, pickle.dict, pickle.setItems, pickle.persistent, pickle.stop,
  pickle.global('collections', 'OrderedDict'), pickle.int(0), pickle.int(2 ** 31 - 1), pickle.ints(2, 2), pickle.ints(2 ** 30, 2 ** 30), pickle.text('__proto__'),
  // PERSID, POP, POP_MARK, DUP, STACK_GLOBAL, NEWOBJ, OBJ, INST, BUILD, APPENDS, EMPTY_LIST, EMPTY_TUPLE, TUPLE1 to TUPLE3, FRAME, MEMOIZE, true, false
  ...['50300a', '30', '31', '32', '93', '81', '6f', '696f730a73797374656d0a', '62', '65', '5d', '29', '85', '86', '87', '95ffffffffffffff7f', '94', '88', '89']
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
  // Memo: put and get, near and far; numbers of odd lengths; a text that is longer than the file
  ...['7100', '68ff', '72ffffff7f', '6a00000000', '8a00', '8aff', '8a0800000000000000f0', '4bff', '4dffff', '47ffffffffffffffff', '58ffffff7f', '58000000ff']
    .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
];

const names = ['model/data.pkl', 'model/data/0', 'model/data/1', 'model/version'];
const oddNames = ['../data.pkl', '/etc/passwd', 'model/../data/0', 'model/data/../data/0', 'data.pkl', 'MODEL/data.pkl', 'other/data/0', 'model\\data\\0', 'model/data/0/', '', 'model//data/0', '\u0000', 'model/byteorder', 'model/data/00'];

/** A well-formed archive of a state dict that something is wrong with. */
function changedProgram(mutator: Mutator): Uint8Array {
  const steps = [...program];
  for (let changes = 1 + mutator.below(3); changes > 0; changes--) {
    const at = 1 + mutator.below(steps.length - 1);
    const kind = mutator.below(6);
    if (kind === 0) steps[at] = mutator.pick(instructions);
    else if (kind === 1) steps.splice(at, 0, mutator.pick(instructions));
    else if (kind === 2) steps.splice(at, 1);
    else if (kind === 3) steps.splice(at, 0, ...steps.slice(at, at + 1 + mutator.below(3)));
    else if (kind === 4) steps[at] = mutator.bytes(steps[at]!);
    else steps[at] = changedTensor(mutator);
  }
  return file(join(steps), storages);
}

function changedTensor(mutator: Mutator): Uint8Array {
  const number = (): number => mutator.pick([0, 1, 2, 3, 4, 5, 11, 12, 13, 255, 65536, 2 ** 30, 2 ** 31 - 1]);
  const list = (): number[] => Array.from({ length: mutator.below(4) }, number);
  const storage = pickle.storage(mutator.pick(['FloatStorage', 'HalfStorage', 'LongStorage', 'BoolStorage', 'ComplexFloatStorage', 'UntypedStorage']), mutator.pick(['0', '1', '2', '../0', '', '0/']), number());
  return pickle.tensor(storage, number(), list(), list());
}

function changedArchive(mutator: Mutator): Uint8Array {
  const contents = [join(program), storages[0], storages[1], ascii('3\n')];
  const entries = names.map((name, i): [string, Uint8Array] => [name, contents[i]!]);
  for (let changes = 1 + mutator.below(2); changes > 0; changes--) {
    const entry = mutator.pick(entries);
    const kind = mutator.below(4);
    if (kind === 0) entry[0] = mutator.pick([...oddNames, ...names]);
    else if (kind === 1) entry[1] = mutator.bytes(entry[1]);
    else if (kind === 2) entries.push([mutator.pick([...oddNames, ...names]), entry[1]]);
    else entries.splice(entries.indexOf(entry), 1);
  }
  return archive(Object.fromEntries(entries));
}

test(`${mutations} changed files, archives, pickles and tensors: read, or refused with a TorchFileError`, async () => {
  const mutator = new Mutator(11);
  const whole = [file(join(program), storages), await written(new Map([['a', counting('F32', [3, 4], 4)], ['b.c', counting('BF16', [2], 2)]]))];
  const report = await fuzz({
    count: mutations,
    input: (i) => {
      if (i % 4 === 0) return mutator.bytes(mutator.pick(whole));
      if (i % 4 === 1) return changedArchive(mutator);
      return changedProgram(mutator);
    },
    read: readAll,
    typed: [TorchFileError],
  });
  // The changes must reach behind the first check, or they test nothing.
  const reached = ['invalid-zip', 'unsafe-path', 'missing-entry', 'invalid-pickle', 'forbidden-opcode', 'forbidden-global', 'unsupported-dtype', 'invalid-tensor', 'limit'];
  expect(reached.filter((code) => (report.refused.get(code) ?? 0) < 50)).toEqual([]);
  expect(report.accepted).toBeGreaterThan(1000);
  expect(report.accepted).toBeLessThan(mutations / 2);
  expect(report.heapGrowth).toBeLessThan(256 * 2 ** 20);
  expect(report.slowest).toBeLessThan(5000);
}, 600_000);

test('a name outside the list is refused wherever it stands, called or not', async () => {
  for (const name of foreign) {
    for (let at = 1; at < program.length; at++) {
      const calls = [[name], [name, pickle.mark, pickle.text('id'), pickle.tuple, pickle.reduce]];
      for (const inserted of calls) {
        const bytes = file(join([...program.slice(0, at), ...inserted, ...program.slice(at)]), storages);
        await expect(readAll(bytes), `${Buffer.from(name).toString()} at ${at}`).rejects.toThrow(TorchFileError);
      }
    }
  }
  await readAll(file(join(program), storages));
});

test('an entry or a storage whose path leads outside the archive is refused', async () => {
  for (const name of ['../data/0', '/data/0', 'model/../../0', 'model/data/../../x']) {
    const entries = { 'model/data.pkl': join(program), 'model/data/0': storages[0], 'model/data/1': storages[1], [name]: storages[0] };
    await expect(readAll(archive(entries)), name).rejects.toMatchObject({ code: 'unsafe-path' });
  }
  for (const key of ['../0', '/0', '..', '0/../0']) {
    const data = pickle.of({ x: pickle.tensor(pickle.storage('FloatStorage', key, 12), 0, [12], [1]) });
    await expect(readAll(file(data, storages)), key).rejects.toThrow(TorchFileError);
  }
});

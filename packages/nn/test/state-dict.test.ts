import {
  AdamW,
  bytesSource,
  Embedding,
  initialized,
  initializers,
  joinState,
  Linear,
  loadStateDict,
  Module,
  openSafetensors,
  parameter,
  readSafetensors,
  readStateDict,
  saveStateDict,
  stateDictTensors,
  StateDictError,
  streamSafetensors,
  tensorFromFloats,
  tensorFromIntegers,
  toFloat32,
  writeSafetensors,
  type SafetensorsTensor,
} from '@mamba-ts/nn';
import { RandomGenerator, scope, tensor, type Variable } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { onEachDevice } from './devices';

class Model extends Module {
  readonly embedding: Embedding;
  readonly proj: Linear;
  readonly head: { weight: Variable } & Module;
  readonly half: Variable;
  readonly count: Variable = parameter(tensor([1, 2], { dtype: 'int32' }), { trainable: false });
  readonly flags: Variable = parameter(tensor([true, false, true]), { trainable: false });
  constructor(random: RandomGenerator) {
    super();
    this.embedding = new Embedding(4, 3, random);
    this.proj = new Linear(3, 2, random);
    const head = new Linear(3, 4, random, { bias: false });
    head.weight.dispose();
    this.head = Object.assign(head, { weight: this.embedding.weight });
    this.half = scope(() => parameter(initialized([5], random, initializers.normal()).cast('bfloat16')));
  }
}

async function everything(model: Module): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [key, v] of model.stateDict()) values[key] = Array.from(await v.data(), Math.fround);
  return values;
}

onEachDevice('state dicts', (on) => {
  const make = (seed: number): Model =>
    scope(() => {
      const random = new RandomGenerator(seed);
      const model = new Model(random);
      random.dispose();
      return [model, ...model.stateDict().values()] as const;
    })[0];

  const tensorsOf = async (seed: number): Promise<Map<string, SafetensorsTensor>> => {
    const model = make(seed);
    const file = await saveStateDict(model);
    model.dispose();
    return new Map(readSafetensors(file).tensors);
  };
  const weightless = (inputs: number): Linear => {
    const random = new RandomGenerator(1);
    const model = new Linear(inputs, 1, random, { bias: false });
    random.dispose();
    return model;
  };

  it('save and load give every value back, in its own type', async () => {
    const one = make(1);
    const other = make(2);
    other.count.write([7, 8]);
    other.flags.write([0, 1, 1]);
    const file = await saveStateDict(one, { metadata: { step: '12' } });
    const { tensors, metadata } = readSafetensors(file);
    expect([...tensors].map(([key, t]) => `${key} ${t.dtype} ${t.shape.join()}`).sort()).toEqual([
      'count I32 2',
      'embedding.weight F32 4,3',
      'flags BOOL 3',
      'half BF16 5',
      'proj.bias F32 2',
      'proj.weight F32 2,3',
    ]);
    expect(metadata.get('step')).toBe('12');
    expect(await everything(other)).not.toEqual(await everything(one));
    const report = loadStateDict(other, file);
    expect([...report.loaded].sort()).toEqual([...tensors.keys()].sort());
    expect([report.missing, report.unexpected]).toEqual([[], []]);
    expect(await everything(other)).toEqual(await everything(one));
    one.dispose();
    other.dispose();
    expect(on.device.memory().buffers).toBe(0);
  });

  it('aliases are written on request, and may differ from no other key of their variable', async () => {
    const one = make(1);
    const file = await saveStateDict(one, { aliases: true });
    const { tensors } = readSafetensors(file);
    expect(tensors.get('head.weight')).toEqual(tensors.get('embedding.weight'));
    const other = make(2);
    expect(loadStateDict(other, tensors).loaded).toContain('head.weight');
    expect(await everything(other)).toEqual(await everything(one));
    const before = await everything(other);
    const untied = new Map(tensors).set('head.weight', tensorFromFloats(new Float32Array(12).fill(3), [4, 3]));
    const message =
      /^loadStateDict: misfit \w+\.weight has other values than \w+\.weight, expected the same: they are one variable$/;
    expect(() => loadStateDict(other, untied)).toThrow(message);
    const onlyAlias = new Map(untied);
    onlyAlias.delete('embedding.weight');
    expect(await everything(other)).toEqual(before);
    loadStateDict(other, onlyAlias);
    expect(Array.from(await other.embedding.weight.data())).toEqual(new Array(12).fill(3));
    one.dispose();
    other.dispose();
  });

  it('reports every missing, unexpected and misshaped key, and changes nothing', async () => {
    const model = make(1);
    const before = await everything(model);
    const tensors = await tensorsOf(3);
    tensors.delete('proj.bias');
    tensors.delete('embedding.weight');
    tensors.set('extra.weight', tensorFromFloats([1], [1]));
    tensors.set('proj.weight', tensorFromFloats([1, 2, 3, 4, 5, 6], [3, 2]));
    tensors.set('count', tensorFromFloats([1, 2], [2]));
    let caught: unknown;
    try {
      loadStateDict(model, tensors);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(StateDictError);
    const error = caught as StateDictError;
    expect([...error.missing].sort()).toEqual(['embedding.weight', 'proj.bias']);
    expect(error.unexpected).toEqual(['extra.weight']);
    expect([...error.misfit].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
      { key: 'count', reason: 'dtype F32, expected one for int32' },
      { key: 'proj.weight', reason: 'shape (3, 2), expected (2, 3)' },
    ]);
    for (const part of ['missing ', 'unexpected extra.weight', 'proj.weight has shape (3, 2), expected (2, 3)'])
      expect(error.message).toContain(part);
    expect(await everything(model)).toEqual(before);
    // Not strict: missing and unexpected pass, wrong shapes do not.
    expect(() => loadStateDict(model, tensors, { strict: false })).toThrow(/^loadStateDict: misfit /);
    tensors.delete('proj.weight');
    tensors.delete('count');
    const report = loadStateDict(model, tensors, { strict: false });
    expect([...report.loaded].sort()).toEqual(['flags', 'half']);
    expect(report.unexpected).toEqual(['extra.weight']);
    expect([...report.missing].sort()).toEqual(['count', 'embedding.weight', 'proj.bias', 'proj.weight']);
    model.dispose();
  });

  it('nothing is written when a value turns out not to fit', async () => {
    const model = make(1);
    const before = await everything(model);
    const tensors = await tensorsOf(4);
    tensors.delete('count');
    // Last, when all others could have been written.
    tensors.set('count', tensorFromIntegers([1, 2 ** 40], [2], 'I64'));
    expect(() => loadStateDict(model, tensors)).toThrow(/element 1 is 1099511627776, expected an integer of int32/);
    expect(await everything(model)).toEqual(before);
    model.dispose();
  });

  it('converts what a file stores otherwise: F64, F16, BF16 and integers', async () => {
    const model = weightless(2);
    const load = async (t: SafetensorsTensor): Promise<number[]> => {
      loadStateDict(model, new Map([['weight', t]]));
      return Array.from(await model.weight.data());
    };
    for (const dtype of ['F64', 'F16', 'BF16', 'F32'] as const)
      expect(await load(tensorFromFloats([0.5, -3], [1, 2], dtype))).toEqual([0.5, -3]);
    expect(await load(tensorFromIntegers([4, -7], [1, 2], 'I64'))).toEqual([4, -7]);
    expect(() =>
      loadStateDict(model, new Map([['weight', { dtype: 'BOOL', shape: [1, 2], bytes: Uint8Array.of(0, 1) }]])),
    ).toThrow('weight has dtype BOOL, expected one for float32');
    model.dispose();
  });

  it('reads a file tensor by tensor, and renames', async () => {
    const one = make(1);
    const other = make(2);
    const renamed = new Map(
      [...readSafetensors(await saveStateDict(one)).tensors].map(([key, t]) => [
        key.replace('embedding', 'embeddings'),
        t,
      ]),
    );
    renamed.set('optimizer.step', tensorFromIntegers([1], []));
    const reader = await openSafetensors(bytesSource(writeSafetensors(renamed)));
    await expect(readStateDict(other, reader)).rejects.toThrow('missing embedding.weight; unexpected ');
    const rename = (name: string): string | null =>
      name.startsWith('optimizer') ? null : name.replace('embeddings', 'embedding');
    const report = await readStateDict(other, reader, { rename });
    expect(report.unexpected).toEqual([]);
    expect(await everything(other)).toEqual(await everything(one));
    await expect(readStateDict(other, reader, { rename: () => 'half' })).rejects.toThrow(
      /loadStateDict: rename gives half for both .+ and .+/,
    );
    one.dispose();
    other.dispose();
  });

  it('copies from module to module', async () => {
    const one = make(1);
    const other = make(2);
    loadStateDict(other, one.stateDict());
    expect(await everything(other)).toEqual(await everything(one));
    // Values, not memory.
    one.proj.weight.write([0, 0, 0, 0, 0, 0]);
    expect((await everything(other))['proj.weight']).not.toEqual([0, 0, 0, 0, 0, 0]);
    one.dispose();
    other.dispose();
  });

  it('joined states keep their parts apart, and can be streamed', async () => {
    const model = make(1);
    const optimizer = new AdamW(model.parameters(), { learningRate: 0.1 });
    const state = joinState({ model, optimizer, count: model.count });
    expect([...state.stateDict().keys()].filter((key) => !key.includes('proj')).sort()).toEqual([
      'count',
      'model.count',
      'model.embedding.weight',
      'model.flags',
      'model.half',
      'model.head.weight',
      'optimizer.firstMoment.embedding.weight',
      'optimizer.firstMoment.half',
      'optimizer.secondMoment.embedding.weight',
      'optimizer.secondMoment.half',
      'optimizer.step',
    ]);
    const pieces: number[] = [];
    for await (const piece of streamSafetensors(stateDictTensors(state))) pieces.push(...piece);
    expect(Uint8Array.from(pieces)).toEqual(await saveStateDict(state));
    expect(toFloat32(readSafetensors(Uint8Array.from(pieces)).tensors.get('model.half') as SafetensorsTensor)).toEqual(
      Float32Array.from(await model.half.data()),
    );
    expect(() => joinState({ 'a.b': model.count, a: joinState({ b: model.half }) }).stateDict()).toThrow(
      'joinState: two variables have the key a.b',
    );
    optimizer.dispose();
    model.dispose();
  });

  it('messages show hostile names on one line, cut short', () => {
    const model = weightless(1);
    const tensors = new Map([
      [`${'x'.repeat(5000)}`, tensorFromFloats([1], [1])],
      ['a\n\u001b[2J', tensorFromFloats([1], [1])],
    ]);
    for (let i = 0; i < 100; i++) tensors.set(`more${i}`, tensorFromFloats([1], [1]));
    let message = '';
    try {
      loadStateDict(model, tensors);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('missing weight; unexpected xxx');
    expect(message).toContain('a\\n\\u001b[2J');
    expect(message).toContain('and 90 more');
    expect(message.length).toBeLessThan(500);
    model.dispose();
  });
});

import { describe, expect, it } from 'vitest';
import {
  type ScanArgumentShapes,
  type ScanInputs,
  type ScanShape,
  ScanShapeError,
  checkScanInputs,
  checkScanShape,
  scanArguments,
  scanDimensions,
  scanShapeOf,
  scanSize,
  selectiveScan,
  selectiveScanBackward,
  selectiveStateUpdate,
} from '@mamba-ts/scan';
import { scanCaseData, scanCases, uniformSource } from '@mamba-ts/scan/conformance';

const good: ScanArgumentShapes = { u: [2, 64, 8], delta: [2, 64, 8], A: [8, 16], B: [2, 64, 1, 16], C: [2, 64, 1, 16] };
const mamba: ScanShape = {
  batch: 2,
  length: 64,
  channels: 8,
  dState: 16,
  groups: 1,
  complex: false,
  variableB: true,
  variableC: true,
};

describe('scanShapeOf', () => {
  it('reads a shape off its arguments', () => {
    expect(scanShapeOf(good)).toEqual(mamba);
    expect(scanShapeOf({ ...good, B: [8, 16], C: [2, 64, 4, 16] })).toEqual({ ...mamba, groups: 4, variableB: false });
    const complex = { ...good, A: [8, 16, 2], B: [2, 64, 1, 16, 2], C: [8, 16, 2], initialState: [2, 8, 16, 2] };
    expect(scanShapeOf(complex)).toEqual({ ...mamba, complex: true, variableC: false });
  });
  it('inverts scanDimensions on the whole grid', () => {
    for (const { name, shape, features } of scanCases) {
      const present = [...scanArguments, 'resets' as const].filter(
        (key) => key in features === false || features[key as 'D'],
      );
      const shapes = Object.fromEntries(
        present.map((key) => [key, scanDimensions(shape, key).map(([, size]) => size)]),
      );
      const groups = shape.variableB || shape.variableC ? shape.groups : 1;
      expect({ name, ...scanShapeOf(shapes as unknown as ScanArgumentShapes) }).toEqual({ name, ...shape, groups });
    }
  });
  it.each<[string, Partial<Record<keyof ScanArgumentShapes, unknown>>, string]>([
    [
      'B without groups',
      { B: [2, 64, 8] },
      'selectiveScan: B has shape (2, 64, 8), expected (batch, length, groups, dState) or (channels, dState)',
    ],
    [
      'B of other states',
      { B: [2, 64, 1, 8] },
      'B has shape (2, 64, 1, 8), expected (batch 2, length 64, groups 1, dState 16)',
    ],
    [
      'C of other groups',
      { C: [2, 64, 2, 16] },
      'C has shape (2, 64, 2, 16), expected (batch 2, length 64, groups 1, dState 16)',
    ],
    [
      'delta of another length',
      { delta: [2, 63, 8] },
      'delta has shape (2, 63, 8), expected (batch 2, length 64, channels 8)',
    ],
    ['z channel-first', { z: [2, 8, 64] }, 'z has shape (2, 8, 64), expected (batch 2, length 64, channels 8)'],
    ['D as matrix', { D: [8, 1] }, 'D has shape (8, 1), expected (channels 8)'],
    ['an initial state without batch', { initialState: [8, 16] }, 'expected (batch 2, channels 8, dState 16)'],
    ['resets of another batch', { resets: [1, 64] }, 'resets has shape (1, 64), expected (batch 2, length 64)'],
    ['a flat u', { u: [1024] }, 'u has shape (1024), expected (batch, length, channels)'],
    [
      'groups that do not divide',
      { B: [2, 64, 3, 16], C: [2, 64, 3, 16] },
      'shape.groups has value 3, expected a divisor of channels 8',
    ],
    [
      'too many states',
      { A: [8, 257], B: [2, 64, 1, 257], C: [2, 64, 1, 257] },
      'shape.dState has value 257, expected at most 256',
    ],
    ['no steps', { u: [2, 0, 8] }, 'shape.length has value 0, expected an integer of at least 1'],
    ['a missing A', { A: undefined }, 'A has value undefined, expected a shape'],
    ['a text as shape', { u: '2,64,8' }, "u has value '2,64,8', expected a shape"],
    ['half a channel', { D: [7.5] }, 'D has type object, expected a shape'],
  ])('names %s', (_, change, message) => {
    const call = (): ScanShape => scanShapeOf({ ...good, ...change } as ScanArgumentShapes);
    expect(call).toThrow(ScanShapeError);
    expect(call).toThrow(message);
  });
});

describe('arrays', () => {
  const scanCase = scanCases[0];
  const { inputs, gradients } = scanCaseData(scanCase);
  it('of the wrong length or class are named', () => {
    const check = (change: object, message: string): void => {
      expect(() => selectiveScan(scanCase.shape, { ...inputs, ...change })).toThrow(message);
    };
    check(
      { u: inputs.u.slice(1) },
      `selectiveScan: u has ${inputs.u.length - 1} elements, expected ${inputs.u.length} for (batch 2, `,
    );
    check({ delta: new Float64Array(inputs.delta) }, 'delta has Float64Array of 3552 bytes, expected a Float32Array');
    check({ A: [...inputs.A] }, 'A has type object, expected a Float32Array');
    check({ C: undefined }, 'C has value undefined, expected a Float32Array');
    check(
      { resets: new Float32Array(74) },
      'resets has Float32Array of 296 bytes, expected a Int32Array or Uint8Array',
    );
    check({ resets: new Uint8Array(73) }, 'resets has 73 elements, expected 74 for (batch 2, length 37)');
    expect(() => selectiveScan(scanCase.shape, null as unknown as ScanInputs)).toThrow(
      'inputs has value null, expected an object',
    );
    expect(() => selectiveScanBackward(scanCase.shape, inputs, { y: gradients.y.slice(1) })).toThrow(
      'selectiveScanBackward: gradients.y has',
    );
    expect(() =>
      selectiveScanBackward(scanCase.shape, inputs, { ...gradients, lastState: new Float32Array(1) }),
    ).toThrow('gradients.lastState has');
    expect(() => selectiveStateUpdate(scanCase.shape, new Float32Array(1), inputs)).toThrow(
      'shape.length has value 37, expected 1 (one step)',
    );
  });
  it('may have resets as bytes', () => {
    const packed = scanCases.find(({ features }) => features.resets);
    if (packed === undefined) throw new Error('the grid has no case with resets');
    const { inputs: all, options } = scanCaseData(packed);
    const bytes = { ...all, resets: Uint8Array.from(all.resets ?? []) };
    expect(selectiveScan(packed.shape, bytes, options)).toEqual(selectiveScan(packed.shape, all, options));
  });
});

describe('random arguments', () => {
  const uniform = uniformSource(7);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(uniform() * values.length)];
  const junk = [
    0,
    -1,
    1.5,
    NaN,
    Infinity,
    2 ** 31,
    2 ** 53,
    '4',
    null,
    undefined,
    {},
    [],
    true,
    1n,
    Symbol.iterator,
    (): number => 1,
  ];

  it('are accepted or refused with a ScanShapeError, as shapes', () => {
    let accepted = 0;
    const refusals: unknown[] = [];
    for (let round = 0; round < 3000; round++) {
      const base = pick(scanCases).shape;
      const shapes: Record<string, unknown> = {};
      for (const name of [...scanArguments, 'resets'] as const)
        shapes[name] = scanDimensions(base, name).map(([, size]) => size);
      for (let edit = Math.floor(uniform() * 3); edit > 0; edit--) {
        const sizes = shapes[pick([...scanArguments, 'resets'])];
        if (Array.isArray(sizes) && uniform() < 0.8)
          sizes[Math.floor(uniform() * sizes.length)] = pick([...junk, 1, 2, 3, 4]);
        else shapes[pick(scanArguments)] = pick(junk);
      }
      try {
        checkScanShape(scanShapeOf(shapes as unknown as ScanArgumentShapes));
        accepted++;
      } catch (error) {
        refusals.push(error);
      }
    }
    expect(refusals.filter((error) => !(error instanceof ScanShapeError))).toEqual([]);
    expect(accepted).toBeGreaterThan(500);
  });

  it('are accepted or refused with a ScanShapeError, as arrays', () => {
    let accepted = 0;
    const refusals: unknown[] = [];
    for (let round = 0; round < 2000; round++) {
      const { shape: base } = pick(scanCases.filter(({ shape }) => scanSize(shape, 'B') < 2000));
      const shape: Record<string, unknown> = { ...base };
      const inputs: Record<string, unknown> = {};
      for (const name of scanArguments) inputs[name] = new Float32Array(scanSize(base, name));
      inputs.resets = new Int32Array(scanSize(base, 'resets'));
      for (let edit = Math.floor(uniform() * 3); edit > 0; edit--) {
        if (uniform() < 0.5) shape[pick(Object.keys(base))] = pick(junk);
        else
          inputs[pick([...scanArguments, 'resets'])] =
            uniform() < 0.5 ? pick(junk) : new Float32Array(Math.floor(uniform() * 50));
      }
      try {
        checkScanInputs(shape as unknown as ScanShape, inputs as unknown as ScanInputs);
        accepted++;
      } catch (error) {
        refusals.push(error);
      }
    }
    expect(refusals.filter((error) => !(error instanceof ScanShapeError))).toEqual([]);
    expect(accepted).toBeGreaterThan(300);
  });
});

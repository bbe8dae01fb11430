import { checkpoint, grad } from '../autograd/grad';
import type { Backend } from '../backend';
import type { Program, RoutineStep, Slot, Step } from '../compile/program';
import { compile } from '../compile/compile';
import { Device } from '../device';
import { tensor } from '../functions/create';
import { silu } from '../functions/elementwise';
import { selectiveScan } from '../functions/routines';
import { sizeOf } from '../shape';
import type { Tensor } from '../tensor';
import { variable } from '../variable';
import { type DifferentiableCase, input, scanInputs } from './cases';
import { caseInputs, relativeError, runCase } from './compare';
import type { Devices } from './index';
import { describe, expect, it } from './runner';

interface PairedCase extends DifferentiableCase {
  /** Which scans leave checkpoints for how many backward passes, in the program's order. */
  readonly pairs: readonly number[];
  /** Backward passes that compute states by themselves. */
  readonly alone?: number;
}

const everything = ([u, delta, A, B, C, D, z, deltaBias, initialState]: readonly Tensor[], resets?: Tensor): Parameters<typeof selectiveScan>[0] => ({
  ...{ u, delta, A, B, C, D, z, deltaBias, initialState, resets }, deltaSoftplus: true,
});

const complexInputs: DifferentiableCase['inputs'] = [
  input(-1, 1, 2, 41, 3), input(0.1, 0.6, 2, 41, 3), input(-1.5, -0.1, 3, 4, 2), input(-1, 1, 2, 41, 1, 4, 2), input(-1, 1, 3, 4, 2),
];

/** Long enough for several chunks on any device. */
const cases: readonly PairedCase[] = [
  {
    name: 'a scan with everything, y and last state',
    inputs: scanInputs(2, 133, 4, 3, 2),
    integers: [{ shape: [2, 133], below: 2 }],
    run: (x, [resets]) => {
      const { y, lastState } = selectiveScan(everything(x, resets));
      return [y, lastState];
    },
    pairs: [1],
  },
  { name: 'a complex scan', inputs: complexInputs, run: ([u, delta, A, B, C]) => selectiveScan({ u, delta, A, B, C }).y, pairs: [1] },
  {
    name: 'the second half of a sequence goes on from the first',
    inputs: scanInputs(1, 70, 3, 4, 1),
    run: (x) => {
      const first = selectiveScan(everything(x));
      return selectiveScan({ ...everything(x), u: first.y, initialState: first.lastState }).y;
    },
    pairs: [1, 1],
  },
  {
    name: 'a checkpointed segment: the scan that is computed again',
    inputs: scanInputs(1, 70, 3, 4, 1),
    run: ([u, ...rest]) => checkpoint((v: Tensor) => selectiveScan(everything([silu(v), ...rest])).y.tanh(), [u]),
    pairs: [0, 1],
  },
  {
    name: 'a checkpointed segment whose scan is not computed again: nothing is kept',
    inputs: scanInputs(1, 70, 3, 4, 1),
    run: ([u, ...rest]) => checkpoint((v: Tensor) => selectiveScan(everything([v, ...rest])).y, [u]),
    pairs: [0],
    alone: 1,
  },
];

/** The device with its programs in view; without `pairs` its scans leave nothing for their backward passes. */
function watched({ backend }: Device, pairs: boolean): { device: Device; programs: Program[] } {
  const programs: Program[] = [];
  const own: Partial<Backend> = {
    prepare: (program) => {
      programs.push(program);
      return backend.prepare(program);
    },
    ...(pairs ? {} : { scanCheckpoints: undefined }),
  };
  const get = (target: Backend, key: string): unknown => {
    if (key in own) return own[key as keyof Backend];
    const value: unknown = target[key as keyof Backend];
    return typeof value === 'function' ? value.bind(target) : value;
  };
  return { device: new Device(new Proxy(backend, { get: (target, key) => get(target, String(key)) })), programs };
}

const routinesOf = (steps: readonly Step[], name: string): RoutineStep[] => steps.filter((s): s is RoutineStep => s.kind === 'routine' && s.call.name === name);

/** How many backward passes take what each scan leaves; and that its memory is its own from the scan to the last of them. */
function pairsOf(program: Program, backend: Backend): number[] {
  const { steps, slots } = program;
  return routinesOf(steps, 'selectiveScan').map((scan) => {
    if (scan.outputs.length < 3) return 0;
    const slot = scan.outputs[2];
    const [, , { shape, dtype }] = scan.call.outputs;
    expect(dtype).toBe('float32');
    expect(shape).toEqual([backend.scanCheckpoints?.({ ...scan.call, outputs: scan.call.outputs.slice(0, 2) })]);
    expect(slots[slot].bytes).toBe(4 * sizeOf(shape));
    const takers = routinesOf(steps, 'selectiveScanBackward').filter((s) => s.inputs[12] === slot);
    const span = steps.slice(steps.indexOf(scan), steps.indexOf(takers.at(-1) as Step) + 1);
    const touched = span.flatMap((s): readonly (number | null)[] => (s.kind === 'kernel' ? s.buffers : [...s.inputs, ...s.outputs, ...(s.epilogue?.buffers ?? []), s.scratch]));
    const end = ({ offset, bytes }: Slot): number => offset + bytes;
    for (const other of touched) {
      if (other === null || other === slot || slots[other].kind !== 'arena' || slots[other].bytes === 0) continue;
      expect(slots[other].offset >= end(slots[slot]) || end(slots[other]) <= slots[slot].offset).toBe(true);
    }
    expect(program.arenaBytes >= end(slots[slot])).toBe(true);
    return takers.length;
  });
}

/** Scans that leave states for their backward passes (`Backend.scanCheckpoints`): where, and that gradients stay what they are. */
export function testScanCheckpoints(devices: Devices): void {
  describe('states that a scan leaves for its backward pass', () => {
    for (const c of cases) {
      it(c.name, async () => {
        const { backend } = devices.device;
        const [kept, plain] = [watched(devices.device, true), watched(devices.device, false)];
        const actual = await runCase(c, kept.device);
        const without = await runCase(c, plain.device);
        const expected = await runCase(c, devices.oracle);
        for (const { gradients } of [actual, without]) {
          gradients.forEach((g, i) => expect(relativeError(g, expected.gradients[i]), `gradient of input ${i}`).toBeLessThan(1e-5));
        }
        actual.outputs.forEach((y, i) => expect(relativeError(y, without.outputs[i]), `output ${i}`).toBeLessThan(2e-6));
        for (const { device, programs } of [kept, plain]) {
          expect(programs.length).toBe(1);
          const leaves = device === kept.device && backend.scanCheckpoints !== undefined;
          expect(pairsOf(programs[0], backend)).toEqual(leaves ? [...c.pairs] : c.pairs.map(() => 0));
          const alone = routinesOf(programs[0].steps, 'selectiveScanBackward').filter((s) => s.inputs.length === 12);
          expect(alone.length).toBe(leaves ? (c.alone ?? 0) : c.pairs.reduce((a, b) => a + b, c.alone ?? 0));
          expect(device.memory().buffers).toBe(0);
        }
      });
    }

    it('two backward passes of one scan in a compiled step share them; a step without gradients has none', async () => {
      const c = cases[0];
      const { floats, integers } = caseInputs(c, 2);
      const run = async (device: Device): Promise<ArrayLike<number>[]> => {
        const x = floats.map((v, i) => tensor(v, { shape: c.inputs[i].shape, device }));
        const resets = tensor(integers[0], { shape: [2, 133], device });
        const forward = compile(() => selectiveScan(everything(x, resets)).y);
        const both = compile(() => {
          const { y, lastState } = selectiveScan(everything(x, resets));
          return [...grad(y.square().sum(), x), ...grad(lastState.sin().sum(), x.slice(0, 4)), y];
        });
        const values = [await forward().data()];
        for (let turn = 0; turn < 2; turn++) for (const t of both()) values.push(await t.data());
        for (const t of [forward, both, ...x, resets]) t.dispose();
        return values;
      };
      const { device, programs } = watched(devices.device, true);
      const [actual, expected] = [await run(device), await run(devices.oracle)];
      actual.forEach((v, i) => expect(relativeError(v, expected[i]), `result ${i}`).toBeLessThan(1e-5));
      const pairs = programs.map((p) => pairsOf(p, devices.device.backend));
      expect(pairs).toEqual([[0], [device.backend.scanCheckpoints ? 2 : 0]]);
      expect(device.memory().buffers).toBe(0);
    });

    it('a state that one step of training hands to the next', async () => {
      const c = cases[2];
      const { floats } = caseInputs(c, 3);
      const run = async (device: Device): Promise<ArrayLike<number>[]> => {
        const x = floats.map((v, i) => tensor(v, { shape: c.inputs[i].shape, device }));
        const state = variable(x[8]);
        const step = compile(() => {
          const { y, lastState } = selectiveScan(everything([...x.slice(0, 8), state]));
          const gradients = grad(y.square().sum(), x.slice(0, 8));
          state.assign(lastState.stopGradient());
          return gradients;
        });
        const values: ArrayLike<number>[] = [];
        for (let turn = 0; turn < 3; turn++) for (const t of step()) values.push(await t.data());
        values.push(await state.data());
        for (const t of [step, state, ...x]) t.dispose();
        return values;
      };
      const { device, programs } = watched(devices.device, true);
      const [actual, expected] = [await run(device), await run(devices.oracle)];
      actual.forEach((v, i) => expect(relativeError(v, expected[i]), `result ${i}`).toBeLessThan(1e-5));
      const pairs = programs.map((p) => pairsOf(p, devices.device.backend)).filter((p) => p.length > 0);
      expect(pairs).toEqual([[device.backend.scanCheckpoints ? 1 : 0]]);
      expect(device.memory().buffers).toBe(0);
    });
  });
}

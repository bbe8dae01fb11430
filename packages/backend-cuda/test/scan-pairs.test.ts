import type { CudaScan, ScanPlan, ScanPointers } from '@mamba-ts/scan-cuda';
import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { Allocator } from '../src/allocator';
import type { CudaRoutine, RoutineHost } from '../src/routine';
import { selectiveScan, selectiveScanBackward } from '../src/routines/selective-scan';

const context = { multiprocessors: 132 } as unknown as CudaContext;

/** Plan and pointers with which a routine would launch the scan package's kernels. Addresses are the operands' numbers. */
function launched(routine: CudaRoutine, call: RoutineCall): { plan: ScanPlan; pointers: ScanPointers } {
  let pointers = {} as ScanPointers;
  let plan = {} as ScanPlan;
  const scan = {
    prepareLoaded: (wanted: ScanPlan) => {
      plan = wanted;
      return { plan, launch: (given: ScanPointers) => void (pointers = given) };
    },
  } as unknown as CudaScan;
  const host = { context, shared: () => scan } as unknown as RoutineHost;
  const addresses = (specs: readonly (TensorSpec | null)[], from: number): bigint[] =>
    specs.map((s, i) => (s === null || s.shape.includes(0) ? 0n : BigInt(from + i)));
  routine.prepare(call, host).launch(undefined as never, { inputs: addresses(call.inputs, 100), outputs: addresses(call.outputs, 200), scratch: 300n });
  return { plan, pointers };
}

const f32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });

/** The two calls of a scan with gate, bias and skip. */
function calls(batch: number, length: number, channels: number, dState: number, complex: boolean): { forward: RoutineCall; backward: RoutineCall } {
  const pair = complex ? [2] : [];
  const rows = f32(batch, length, channels);
  const [A, B, D] = [f32(channels, dState, ...pair), f32(batch, length, 1, dState, ...pair), f32(channels)];
  const state = f32(batch, channels, dState, ...pair);
  const attributes = { groups: 1, complex, variableB: true, variableC: true, deltaSoftplus: true };
  const inputs = [rows, rows, A, B, B, D, rows, D, null, null];
  return {
    forward: { name: 'selectiveScan', attributes, inputs, outputs: [rows, state] },
    backward: { name: 'selectiveScanBackward', attributes, inputs: [rows, null, ...inputs], outputs: [rows, rows, A, B, B, D, rows, D, f32(0)] },
  };
}

const sizes = [
  [8, 4096, 1024, 16, false], [2, 2048, 1536, 16, false], [1, 1, 64, 16, false], [1, 32768, 1024, 16, false], [64, 128, 256, 64, false],
  [3, 37, 20, 5, false], [2, 300, 16, 16, true],
] as const;

it.each(sizes)('a pair of passes agrees on its checkpoints: batch %i, length %i, %i channels, %i states, complex %s', (batch, length, channels, dState, complex) => {
  const { forward, backward } = calls(batch, length, channels, dState, complex);
  const elements = selectiveScan.checkpoints?.(forward, context) ?? 0;
  const checkpoints = f32(elements);
  const one = launched(selectiveScan, { ...forward, outputs: [...forward.outputs, checkpoints] });
  const other = launched(selectiveScanBackward, { ...backward, inputs: [...backward.inputs, checkpoints] });
  expect(elements).toBe(batch * Math.ceil(length / one.plan.chunk) * channels * dState * (complex ? 2 : 1));
  expect([one.plan.checkpointBytes, other.plan.checkpointBytes]).toEqual([4 * elements, 4 * elements]);
  expect(other.plan.chunk).toBe(one.plan.chunk);
  expect(one.pointers).toMatchObject({ u: 100n, deltaBias: 107n, y: 200n, lastState: 201n, checkpoints: 202n });
  expect(other.pointers).toMatchObject({ gradY: 100n, u: 102n, deltaBias: 109n, checkpoints: 112n, gradU: 200n });
  // Alone, the passes are what they were: backward with room of its own for the states.
  const [forwardAlone, backwardAlone] = [launched(selectiveScan, forward), launched(selectiveScanBackward, backward)];
  expect([forwardAlone.plan.checkpointBytes, backwardAlone.plan.checkpointBytes]).toEqual([0, 0]);
  expect('checkpoints' in forwardAlone.pointers || 'checkpoints' in backwardAlone.pointers).toBe(false);
  expect(backwardAlone.plan.scratchBytes - other.plan.scratchBytes).toBeGreaterThanOrEqual(4 * elements);
  expect(other.plan.kernels.length).toBeLessThan(backwardAlone.plan.kernels.length);
});

it('room on the card is counted with the blocks that could go back to it', () => {
  let free = 1 << 20;
  const sizesOf = new Map<bigint, number>();
  const card = {
    allocate: (bytes: number) => {
      free -= bytes;
      sizesOf.set(BigInt(sizesOf.size + 1), bytes);
      return BigInt(sizesOf.size);
    },
    free: (pointer: bigint) => void (free += sizesOf.get(pointer) as number),
    memory: () => ({ free, total: 1 << 20 }),
  } as unknown as CudaContext;
  const [whole, half] = [new Allocator(card, Number.POSITIVE_INFINITY), new Allocator(card, 1 << 19)];
  expect([whole.fits(1 << 20), whole.fits((1 << 20) + 1), half.fits(1 << 19), half.fits((1 << 19) + 1)]).toEqual([true, false, true, false]);
  const { pointer, blockBytes } = half.allocate(1 << 18);
  expect([half.fits(1 << 18), half.fits(1 << 19), whole.fits(3 << 18), whole.fits(1 << 20)]).toEqual([true, false, true, false]);
  half.free(pointer, blockBytes);
  expect(half.fits(1 << 19)).toBe(true);
});

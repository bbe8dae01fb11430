import { expect, it } from 'vitest';
import { compile, grad, scope, selectiveScan, type Tensor, tensor } from '@mamba-ts/tensor';
import { randomSource, randomValues } from '@mamba-ts/tensor/conformance';
import type { RoutineCall, RoutineStep } from '../src/compile/program';
import { Device } from '../src/device';
import { ReferenceBackend } from '../src/reference/backend';
import { sizeOf } from '../src/shape';

/** The fusing reference, whose scans say that they leave something. */
class KeepingBackend extends ReferenceBackend {
  calls: RoutineCall[] = [];
  asked: number[] = [];

  constructor(
    readonly elements: number,
    readonly room: number = Number.POSITIVE_INFINITY,
  ) {
    super(true);
  }

  scanCheckpoints(call: RoutineCall): number {
    return call.outputs.length === 2 ? this.elements : 0;
  }

  arenaFits(bytes: number): boolean {
    this.asked.push(bytes);
    return bytes <= this.room;
  }

  override prepare(program: Parameters<ReferenceBackend['prepare']>[0]): ReturnType<ReferenceBackend['prepare']> {
    this.calls = program.steps.filter((s): s is RoutineStep => s.kind === 'routine').map((s) => s.call);
    return super.prepare(program);
  }
}

type Operands = Parameters<typeof selectiveScan>[0];
type Change = (x: Operands) => Operands;

/** Inputs and outputs of the two passes' calls in a step that gives y of one scan and gradients of another, whose own y nobody wants. */
function counts(backend: KeepingBackend, scan: Change, other: Change): { scan: number; backward: number; report: string; arenaBytes: number } {
  const device = new Device(backend);
  const random = randomSource(7);
  const shapes = [[1, 9, 3], [1, 9, 3], [3, 2], [1, 9, 1, 2], [1, 9, 1, 2], [3]];
  const [u, delta, A, B, C, D] = shapes.map((shape) => tensor(randomValues(random, sizeOf(shape), -1, -0.1), { shape, device }));
  const step = compile((): readonly Tensor[] => {
    const x: Operands = { u, delta, A, B, C, D, deltaSoftplus: true };
    return [selectiveScan(scan(x)).y, ...grad(selectiveScan(other(x)).y.sum(), [u, A])];
  });
  scope(() => step());
  const report = step.explain()[0];
  const of = (name: string): RoutineCall => backend.calls.find((c) => c.name === name) as RoutineCall;
  step.dispose();
  return { scan: of('selectiveScan').outputs.length, backward: of('selectiveScanBackward').inputs.length, report: report.toString(), arenaBytes: report.arenaBytes };
}

const same: Change = (x) => x;

it('a scan leaves what the backend asks for, and the report and the memory plan say so', () => {
  const [none, some] = [0, 1000].map((elements) => counts(new KeepingBackend(elements), same, same));
  expect(none).toMatchObject({ scan: 2, backward: 12 });
  expect(some).toMatchObject({ scan: 3, backward: 13 });
  expect(some.report).toMatch(/selectiveScan .*→ \(1, 9, 3\) \(1, 3, 2\) \(1000\)/);
  expect(some.report).toMatch(/selectiveScanBackward .* \(1000\) →/);
  expect(some.arenaBytes).toBeGreaterThanOrEqual(none.arenaBytes + 4000);
});

it('only for the backward pass of that very scan', () => {
  const others: readonly Change[] = [
    (x) => ({ ...x, deltaSoftplus: false }),
    (x) => ({ ...x, u: x.u.mul(2) }),
    (x) => ({ ...x, B: x.C }),
    (x) => ({ ...x, D: undefined }),
    (x) => ({ ...x, z: x.u }),
  ];
  for (const other of others) expect(counts(new KeepingBackend(1000), same, other)).toMatchObject({ scan: 2, backward: 12 });
  for (const both of others) expect(counts(new KeepingBackend(1000), both, both)).toMatchObject({ scan: 3, backward: 13 });
});

it('not where there is no room for it', () => {
  const { arenaBytes } = counts(new KeepingBackend(1000), same, same);
  const [fitting, tight] = [arenaBytes, arenaBytes - 1].map((room) => new KeepingBackend(1000, room));
  expect(counts(fitting, same, same)).toMatchObject({ scan: 3, backward: 13, arenaBytes });
  expect(counts(tight, same, same)).toMatchObject({ scan: 2, backward: 12 });
  for (const { asked } of [fitting, tight]) expect(asked).toEqual([arenaBytes]);
  const nothing = new KeepingBackend(0, 0);
  counts(nothing, same, same);
  expect(nothing.asked).toEqual([]);
});

import { PlainBlock } from '@mamba-ts/models';
import { type Discretization, discretizations, S4D, type S4DInit, s4dInits, Vandermonde } from '@mamba-ts/ssm';
import { grad, scope } from '@mamba-ts/tensor';
import { compared, type Family, notYetCovered, type Result, unusable } from '../family';
import { caseNames, type FixtureCase, readCase } from '../fixture-case';
import { relativeError } from '../measure';
import { evaluate, onDevices, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';

const TOLERANCE = 1e-4;
const STEP_TOLERANCE = 1e-3;

/** `S4Block` of state-spaces/s4, not transposed. Covered where its kernel is diagonal and causal. */
export const s4Family: Family = {
  name: 's4',
  check: (folder) =>
    onDevices(async function* (devices) {
      for (const name of await caseNames(folder, '.safetensors')) {
        try {
          const fixture = await readCase(folder, name);
          const kernel = kernelOf(fixture);
          if (kernel === undefined) {
            yield notYetCovered(name);
            continue;
          }
          yield* devices.flatMap((on) => checkCase(fixture, kernel, on));
          for (const tensor of fixture.leftOver()) yield unusable(name, `nothing compares its tensor ${tensor}`);
        } catch (error) {
          yield unusable(name, (error as Error).message);
        }
      }
    }),
};

interface Kernel {
  readonly dState: number;
  readonly init: S4DInit;
  readonly discretization: Discretization;
}

/** The settings of a diagonal kernel; nothing where a setting asks for more. */
function kernelOf({ settings }: FixtureCase): Kernel | undefined {
  const { mode, init, disc = 'zoh', ...others } = (settings['kwargs'] ?? {}) as Record<string, unknown>;
  if (mode !== 'diag' || Object.keys(others).length > 0) return undefined;
  const ourInit = s4dInits.find((kind) => `diag-${kind}` === init);
  const discretization = discretizations.find((kind) => kind === disc);
  if (ourInit === undefined || discretization === undefined) return undefined;
  const dState = settings['N'];
  if (typeof dState !== 'number') throw new Error('setting N is missing or no number');
  return { dState, init: ourInit, discretization };
}

function checkCase(fixture: FixtureCase, { dState, init, discretization }: Kernel, on: ParityDevice): Result[] {
  const { name } = fixture;
  const compare = (quantity: string, actual: ArrayLike<number>, expected: Float64Array, tolerance: number): Result =>
    compared(name, `${quantity} (${on.name})`, relativeError(actual, expected), tolerance);
  const x = fixture.get('in.x');
  const [, length, dModel] = x.shape as [number, number, number];
  const nSsm = fixture.get('param.layer.kernel.A_real').shape[0]!;
  const stepsExpected = fixture.find('out_step');
  const { found, stepped, paths } = scope(() => {
    const layer = new S4D({ dModel, dState, init, discretization, nSsm }, on.random);
    const block = new PlainBlock({ dModel, layer: () => layer }, on.random);
    load(fixture, block);
    const parameters = block.parameters();
    const atOnce: Record<string, Float64Array> = evaluate(() => {
      const input = upload(on, x);
      const y = block.forward(input);
      const loss = y.mul(upload(on, fixture.get('grad_out'))).sum();
      const gradients = grad(loss, [input, ...parameters.values()]);
      const { logA, B, C } = layer.kernel.discrete(discretization);
      return {
        out: y,
        // (length, dModel) here, (1, dModel, length) there
        kernel: new Vandermonde(logA, length).kernel(C.mul(B)).transpose(0, 1),
        ...Object.fromEntries(['x', ...parameters.keys()].map((path, i) => [path, gradients[i]!])),
      };
    });
    const steps = stepsExpected === undefined ? undefined : runSteps(block, on, x).y;
    return { found: atOnce, stepped: steps, paths: ['x', ...parameters.keys()] };
  });
  const gradients = fixture.namesUnder('grad.');
  const forgotten = paths.filter((path) => !gradients.includes(path));
  if (forgotten.length > 0) throw new Error(`the fixture has no gradient of ${forgotten.join(', ')}`);
  return [
    compare('out', found['out']!, fixture.get('out').data, TOLERANCE),
    compare('kernel', found['kernel']!, fixture.get('kernel').data, TOLERANCE),
    ...(stepsExpected === undefined ? [] : [compare('out, stepped', stepped!, stepsExpected.data, STEP_TOLERANCE)]),
    ...gradients.map((path) => {
      const ours = path === 'out' || path === 'kernel' ? undefined : found[path];
      return compare(`grad ${path}`, ours ?? [], fixture.get(`grad.${path}`).data, TOLERANCE);
    }),
  ];
}

/** Writes the fixture's parameters into a block: all that both have, and nothing else. */
function load(fixture: FixtureCase, block: PlainBlock): void {
  const parameters = block.stateDict();
  const stored = fixture.namesUnder('param.');
  const missing = [...parameters.keys()].filter((path) => !stored.includes(path));
  if (missing.length > 0) throw new Error(`the fixture has no parameter ${missing.join(', ')}`);
  for (const path of stored) {
    const parameter = parameters.get(path);
    if (parameter === undefined) throw new Error(`the block has no parameter ${path}`);
    const { data, shape } = fixture.get(`param.${path}`);
    if (shape.join() !== parameter.shape.join()) {
      throw new Error(`param.${path} has shape (${shape.join(', ')}), the block's is (${parameter.shape.join(', ')})`);
    }
    parameter.write(data);
  }
}

import { PlainBlock } from '@mamba-ts/models';
import { discretizations, S4, S4D, s4dInits } from '@mamba-ts/ssm';
import { grad, type RandomGenerator, scope, stack } from '@mamba-ts/tensor';
import { compared, type Family, notYetCovered, type Result, unusable } from '../family';
import { caseNames, type FixtureCase, readCase } from '../fixture-case';
import { relativeError } from '../measure';
import { evaluate, onDevices, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';

const TOLERANCE = 1e-4;
const STEP_TOLERANCE = 1e-3;

/** `S4Block` of state-spaces/s4, not transposed, with a diagonal or a diagonal plus low-rank kernel. */
export const s4Family: Family = {
  name: 's4',
  check: (folder) =>
    onDevices(async function* (devices) {
      for (const name of await caseNames(folder, '.safetensors')) {
        try {
          const fixture = await readCase(folder, name);
          const make = layerOf(fixture);
          if (make === undefined) {
            yield notYetCovered(name);
            continue;
          }
          yield* devices.flatMap((on) => checkCase(fixture, make, on));
          for (const tensor of fixture.leftOver()) yield unusable(name, `nothing compares its tensor ${tensor}`);
        } catch (error) {
          yield unusable(name, (error as Error).message);
        }
      }
    }),
};

type MakeLayer = (dModel: number, random: RandomGenerator) => S4 | S4D;

/** Settings that only say where parameters start: those of the fixture replace them. */
const startOnly = new Set(['n_ssm', 'dt_min', 'dt_max', 'lr', 'wd', 'rank', 'l_max', 'dropout', 'deterministic']);
const diagonalModes = new Set<unknown>(['diag', 's4d']);
const lowRankModes = new Set<unknown>(['dplr', 'nplr', 's4']);

/** The layer that the settings describe; nothing where one asks for what it does not have. */
function layerOf(fixture: FixtureCase): MakeLayer | undefined {
  const { settings } = fixture;
  const kwargs = (settings['kwargs'] ?? {}) as Record<string, unknown>;
  const { mode = 'dplr', init, disc, bidirectional = false, is_real: isReal = false, ...others } = kwargs;
  if (Object.keys(others).some((name) => !startOnly.has(name)) || typeof bidirectional !== 'boolean') return undefined;
  const dState = settings['N'];
  if (typeof dState !== 'number') throw new Error('setting N is missing or no number');
  const nSsm = fixture.get('param.layer.kernel.A_real').shape[0]!;
  if (lowRankModes.has(mode)) {
    if (disc !== undefined && disc !== 'bilinear') return undefined;
    if (fixture.get('param.layer.kernel.P').shape[0] !== 1) return undefined;
    const length = fixture.get('param.layer.kernel.l_kernel').data[0]!;
    const kernelLength = length === 0 ? null : length;
    return (dModel, random) => new S4({ dModel, dState, bidirectional, kernelLength, nSsm }, random);
  }
  const discretization = discretizations.find((kind) => kind === (disc ?? 'zoh'));
  const named = s4dInits.find((kind) => `diag-${kind}` === init) ?? 'lin';
  // Where the reference starts from real poles it still lets them turn complex, unless it is told not to.
  const start = isReal === true ? 'real' : named === 'real' ? 'lin' : named;
  if (!diagonalModes.has(mode) || discretization === undefined) return undefined;
  return (dModel, random) => new S4D({ dModel, dState, init: start, discretization, bidirectional, nSsm }, random);
}

function checkCase(fixture: FixtureCase, make: MakeLayer, on: ParityDevice): Result[] {
  const { name } = fixture;
  const compare = (quantity: string, actual: ArrayLike<number>, expected: Float64Array, tolerance: number): Result =>
    compared(name, `${quantity} (${on.name})`, relativeError(actual, expected), tolerance);
  const x = fixture.get('in.x');
  const [, length, dModel] = x.shape as [number, number, number];
  const stepsExpected = fixture.find('out_step');
  const { found, stepped, paths } = scope(() => {
    const layer = make(dModel, on.random);
    const block = new PlainBlock({ dModel, layer: () => layer }, on.random);
    load(fixture, block);
    const parameters = block.parameters();
    const atOnce: Record<string, Float64Array> = evaluate(() => {
      const input = upload(on, x);
      const y = block.forward(input);
      const loss = y.mul(upload(on, fixture.get('grad_out'))).sum();
      const gradients = grad(loss, [input, ...parameters.values()]);
      return {
        out: y,
        // (length, dModel) each here, (outputs, dModel, length) there
        kernel: stack(layer.taps(length).map((taps) => taps.transpose())),
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
    parameter.write(parameter.dtype === 'int32' ? Int32Array.from(data) : data);
  }
}

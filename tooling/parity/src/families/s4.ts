import { PlainBlock } from '@mamba-ts/models';
import { discretizations, S4, S4D, s4dInits } from '@mamba-ts/ssm';
import { type RandomGenerator, stack } from '@mamba-ts/tensor';
import type { Family } from '../family';
import type { FixtureCase } from '../fixture-case';
import { layerFamily, numberSetting } from '../layer-family';

/** `S4Block` of state-spaces/s4, not transposed, with a diagonal or a diagonal plus low-rank kernel. */
export const s4Family: Family = layerFamily('s4', (fixture) => {
  const make = layerOf(fixture);
  if (make === undefined) return undefined;
  const [, length, dModel] = fixture.get('in.x').shape as [number, number, number];
  return (random) => {
    const inner = make(dModel, random);
    return {
      layer: new PlainBlock({ dModel, layer: () => inner }, random),
      // (length, dModel) each here, (outputs, dModel, length) there
      also: () => ({ kernel: stack(inner.taps(length).map((taps) => taps.transpose())) }),
      steps: inner.kernel.C.shape[0] === 1,
    };
  };
});

type MakeLayer = (dModel: number, random: RandomGenerator) => S4 | S4D;

/** Settings that only say where parameters start: those of the fixture replace them. */
const startOnly = new Set(['n_ssm', 'dt_min', 'dt_max', 'lr', 'wd', 'rank', 'l_max', 'dropout', 'deterministic']);
const diagonalModes = new Set<unknown>(['diag', 's4d']);
const lowRankModes = new Set<unknown>(['dplr', 'nplr', 's4']);

/** The layer that the settings describe; nothing where one asks for what it does not have. */
function layerOf(fixture: FixtureCase): MakeLayer | undefined {
  const kwargs = (fixture.settings['kwargs'] ?? {}) as Record<string, unknown>;
  const { mode = 'dplr', init, disc, bidirectional = false, is_real: isReal = false, ...others } = kwargs;
  if (Object.keys(others).some((name) => !startOnly.has(name)) || typeof bidirectional !== 'boolean') return undefined;
  const dState = numberSetting(fixture, 'N');
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

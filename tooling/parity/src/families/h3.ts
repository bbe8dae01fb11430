import { H3Block } from '@mamba-ts/models';
import { discretizations, H3SSM } from '@mamba-ts/ssm';
import type { Family } from '../family';
import { layerFamily, numberSetting } from '../layer-family';

/** `H3` of HazyResearch/H3 by Fourier transforms, with a diagonal SSM. */
export const h3Family: Family = layerFamily('h3', (fixture) => {
  const { disc = 'bilinear', mode = 'diag' } = fixture.settings;
  const discretization = discretizations.find((kind) => kind === disc);
  if (discretization === undefined || mode !== 'diag') return undefined;
  const dModel = numberSetting(fixture, 'D');
  const headDim = 'head_dim' in fixture.settings ? numberSetting(fixture, 'head_dim') : 1;
  const dState = numberSetting(fixture, 'N');
  const nSsm = fixture.get('param.kernel.kernel.A_imag').shape[0]!;
  // The setting `measure` only says where parameters start: those of the fixture replace them.
  return (random) => ({
    layer: new H3Block(
      {
        dModel,
        headDim,
        dState,
        // How that path flattens its heads.
        outputOrder: 'channel',
        layer: (width) => new H3SSM({ dModel: width, dState, discretization, nSsm }, random),
      },
      random,
    ),
    steps: true,
  });
});

import { Hyena } from '@mamba-ts/ssm';
import type { Family } from '../family';
import { layerFamily, numberSetting } from '../layer-family';

/** `HyenaOperator` of HazyResearch/safari, standalone. Sizes that the settings leave out are those of the parameters. */
export const hyenaFamily: Family = layerFamily('hyena', (fixture) => {
  const optional = (name: string, otherwise: number): number =>
    name in fixture.settings ? numberSetting(fixture, name) : otherwise;
  const dModel = numberSetting(fixture, 'd_model');
  const [, lMax, embDim] = fixture.get('param.filter_fn.pos_emb.z').shape as [number, number, number];
  const linear = fixture.namesUnder('param.filter_fn.implicit_filter.').filter((name) => name.endsWith('weight'));
  const config = {
    dModel,
    order: fixture.get('param.in_proj.weight').shape[0]! / dModel - 1,
    shortFilter: fixture.get('param.short_filter.weight').shape[2]!,
    lMax,
    embDim,
    filterOrder: fixture.get('param.filter_fn.implicit_filter.0.weight').shape[0]!,
    innerMlps: linear.length - 2,
    windowShift: optional('shift', 0),
    normalized: fixture.settings['normalized'] === true,
    // Features without a gradient are not trained.
    positionLearningRate: fixture.namesUnder('grad.').includes('filter_fn.pos_emb.z') ? 1e-5 : 0,
  };
  return (random) => ({ layer: new Hyena(config, random), steps: true });
});

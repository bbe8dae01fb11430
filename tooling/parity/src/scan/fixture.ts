import type { ScanInputs, ScanShape } from '@mamba-ts/scan';
import type { FixtureCase, Values } from '../fixture-case';
import { projectionToChannelLast, sequenceToChannelLast } from './layout';

/** A fixture of the scan in the layout of @mamba-ts/scan. */
export interface ScanFixture {
  readonly shape: ScanShape;
  readonly inputs: ScanInputs<Float64Array>;
  readonly deltaSoftplus: boolean;
}

const settingNames = ['complex', 'variable_B', 'variable_C', 'has_D', 'has_z', 'has_delta_bias', 'delta_softplus'];

/** @throws where the fixture's tensors and settings contradict each other. */
export function scanFixture(fixture: FixtureCase): ScanFixture {
  const { settings } = fixture;
  for (const name of settingNames) {
    if (typeof settings[name] !== 'boolean') throw new Error(`setting ${name} is missing or no boolean`);
  }
  const u = fixture.get('in.u');
  const A = fixture.get('in.A');
  const [batch, channels, length] = u.shape as [number, number, number];
  const shape: ScanShape = {
    batch,
    length,
    channels,
    dState: A.shape[1]!,
    groups: Number(settings['groups']),
    complex: settings['complex'] === true,
    variableB: settings['variable_B'] === true,
    variableC: settings['variable_C'] === true,
  };
  if (A.complex !== shape.complex) throw new Error(`A is ${A.complex ? '' : 'not '}complex, unlike the setting`);
  const optional = (name: string, setting: string): Values | undefined => {
    const values = fixture.find(`in.${name}`);
    if ((values !== undefined) !== settings[setting]) throw new Error(`in.${name} and the setting ${setting} disagree`);
    return values;
  };
  const D = optional('D', 'has_D');
  const z = optional('z', 'has_z');
  const deltaBias = optional('delta_bias', 'has_delta_bias');
  const inputs: ScanInputs<Float64Array> = {
    u: sequenceToChannelLast('in.u', u),
    delta: sequenceToChannelLast('in.delta', fixture.get('in.delta')),
    A: A.data,
    B: projectionToChannelLast('in.B', fixture.get('in.B'), shape, shape.variableB),
    C: projectionToChannelLast('in.C', fixture.get('in.C'), shape, shape.variableC),
    ...(D === undefined ? {} : { D: D.data }),
    ...(z === undefined ? {} : { z: sequenceToChannelLast('in.z', z) }),
    ...(deltaBias === undefined ? {} : { deltaBias: deltaBias.data }),
  };
  return { shape, inputs, deltaSoftplus: settings['delta_softplus'] === true };
}

/** Names of gradients in fixtures, and in @mamba-ts/scan. */
const gradientNames = {
  u: 'u',
  delta: 'delta',
  A: 'A',
  B: 'B',
  C: 'C',
  D: 'D',
  z: 'z',
  delta_bias: 'deltaBias',
} as const;

export type GradientName = (typeof gradientNames)[keyof typeof gradientNames];

/** The gradient that a fixture names, in the layout of @mamba-ts/scan. */
export function expectedGradient(
  fixture: FixtureCase,
  name: string,
  shape: ScanShape,
): { name: GradientName; expected: Float64Array } {
  if (!Object.hasOwn(gradientNames, name)) throw new Error(`grad.${name} is of no input that the scan has`);
  const ours = gradientNames[name as keyof typeof gradientNames];
  const what = `grad.${name}`;
  const values = fixture.get(what);
  switch (ours) {
    case 'u':
    case 'delta':
    case 'z':
      return { name: ours, expected: sequenceToChannelLast(what, values) };
    case 'B':
      return { name: ours, expected: projectionToChannelLast(what, values, shape, shape.variableB) };
    case 'C':
      return { name: ours, expected: projectionToChannelLast(what, values, shape, shape.variableC) };
    default:
      return { name: ours, expected: values.data };
  }
}

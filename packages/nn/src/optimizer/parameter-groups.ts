import { DTypeError, isFloat, OutOfRangeError, type Variable } from '@mamba-ts/tensor';
import { checkNumber } from '../argument';
import { metadataOf } from '../parameter';

/**
 * Settings for some of the parameters, over what their metadata says. Of several groups that match, later ones win,
 * field by field.
 */
export interface ParameterGroup {
  /** Which parameters: a pattern for their paths, or a test. */
  readonly match: RegExp | ((path: string, parameter: Variable) => boolean);
  /** Own peak learning rate (the schedule still multiplies it). */
  readonly learningRate?: number;
  /** Factor on the optimiser's learning rate. */
  readonly learningRateScale?: number;
  readonly weightDecay?: number;
  /** false: left as it is. */
  readonly trainable?: boolean;
}

/** One parameter with what was settled for it. */
export interface TrainedParameter {
  readonly path: string;
  readonly parameter: Variable;
  /** Peak learning rate. */
  readonly learningRate: number;
  readonly weightDecay: number;
}

/**
 * The parameters to train, each once, with the settings of the optimiser, their metadata and the groups, the later the
 * stronger.
 */
export function settleParameters(
  where: string,
  parameters: ReadonlyMap<string, Variable>,
  defaults: { learningRate: number; weightDecay: number },
  groups: readonly ParameterGroup[],
): TrainedParameter[] {
  groups.forEach((group, i) => checkGroup(where, `groups[${i}]`, group));
  const trained: TrainedParameter[] = [];
  const seen = new Set<Variable>();
  const used = new Set<ParameterGroup>();
  for (const [path, parameter] of parameters) {
    if (seen.has(parameter)) continue;
    seen.add(parameter);
    const metadata = metadataOf(parameter);
    checkRate(where, `learningRate of ${path}`, metadata.learningRate);
    checkRate(where, `learningRateScale of ${path}`, metadata.learningRateScale);
    let { trainable = true } = metadata;
    let learningRate = metadata.learningRate ?? defaults.learningRate * (metadata.learningRateScale ?? 1);
    let weightDecay = metadata.weightDecay === false ? 0 : defaults.weightDecay;
    for (const group of groups) {
      if (!matches(group, path, parameter)) continue;
      used.add(group);
      if (group.learningRateScale !== undefined) learningRate = defaults.learningRate * group.learningRateScale;
      learningRate = group.learningRate ?? learningRate;
      weightDecay = group.weightDecay ?? weightDecay;
      trainable = group.trainable ?? trainable;
    }
    if (trainable && !isFloat(parameter.dtype)) {
      throw new DTypeError(`${where}: ${path} is ${parameter.dtype}, expected a float type, or trainable: false`);
    }
    if (trainable) trained.push({ path, parameter, learningRate, weightDecay });
  }
  // A misspelt pattern would silently train with the wrong settings.
  groups.forEach((group, i) => {
    if (used.has(group)) return;
    const what = group.match instanceof RegExp ? String(group.match) : 'its function';
    throw new OutOfRangeError(
      `${where}: groups[${i}] matches no parameter (${what}), expected at least one of ${parameters.size}`,
    );
  });
  if (trained.length === 0) throw new OutOfRangeError(`${where}: parameters has none to train, expected at least one`);
  return trained;
}

function matches({ match }: ParameterGroup, path: string, parameter: Variable): boolean {
  // `search` knows no lastIndex: a pattern with the g flag matches every time.
  return match instanceof RegExp ? path.search(match) >= 0 : match(path, parameter);
}

function checkGroup(where: string, name: string, group: ParameterGroup): void {
  checkRate(where, `${name}.learningRate`, group.learningRate);
  checkRate(where, `${name}.learningRateScale`, group.learningRateScale);
  checkRate(where, `${name}.weightDecay`, group.weightDecay);
}

function checkRate(where: string, name: string, value: number | undefined): void {
  if (value !== undefined) checkNumber(where, name, value, 0);
}

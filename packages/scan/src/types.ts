/**
 * Sizes and kinds of one scan. Everything is channel-last:
 * `u, delta, z, y` (batch, length, channels); `A` (channels, dState); `B, C` (batch, length, groups, dState) where
 * variable, (channels, dState) where constant; `D, deltaBias` (channels); states (batch, channels, dState).
 * In complex mode `A, B, C` and the states have one more axis of 2 at the end: real, imaginary.
 */
export interface ScanShape {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  /** States per channel, 1 to 256. Complex numbers count once. */
  readonly dState: number;
  /** A divisor of `channels`; channel d takes B and C of group floor(d / (channels / groups)). */
  readonly groups: number;
  readonly complex: boolean;
  readonly variableB: boolean;
  readonly variableC: boolean;
}

/** Arrays that hold the contract's numbers. */
export type FloatArray = Float32Array | Float64Array;

/**
 * Inputs of one scan, flat and row-major. With dt = [softplus](delta + deltaBias):
 * h_t = exp(dt A) h_{t-1} + dt B u, y = sum_n C h + D u (complex mode: 2 Re of the sum), then y *= silu(z).
 */
export interface ScanInputs<T extends FloatArray = Float32Array> {
  readonly u: T;
  readonly delta: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D?: T;
  readonly z?: T;
  readonly deltaBias?: T;
  /** State before the first step; zero where absent. */
  readonly initialState?: T;
  /** (batch, length): non-zero at t sets the state to zero before step t, the initial state included. */
  readonly resets?: Int32Array | Uint8Array;
}

export interface ScanOptions {
  /** dt = log(1 + exp(delta + deltaBias)), the identity above 20. Default false. */
  readonly deltaSoftplus?: boolean;
}

export interface ScanOutput<T extends FloatArray = Float32Array> {
  /** (batch, length, channels) */
  readonly y: T;
  /** (batch, channels, dState), after the last step. */
  readonly lastState: T;
}

/** Gradients that reach a scan from above. */
export interface ScanOutputGradients<T extends FloatArray = Float32Array> {
  readonly y: T;
  readonly lastState?: T;
}

/** Gradients of the inputs that are present, each of its input's shape; complex ones are dL/dRe + i dL/dIm. */
export interface ScanGradients<T extends FloatArray = Float32Array> {
  readonly u: T;
  readonly delta: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D?: T;
  readonly z?: T;
  readonly deltaBias?: T;
  readonly initialState?: T;
}

/** Float arguments of a scan, in the order of the parameter block. */
export const scanArguments = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState'] as const;
export type ScanArgument = (typeof scanArguments)[number];

/** Reals per state: 1, or 2 in complex mode. */
export function stateWidth(shape: ScanShape): number {
  return shape.complex ? 2 : 1;
}

/** Elements of an argument, of `resets`, or of `y` and `lastState`. */
export function scanSize(shape: ScanShape, name: ScanArgument | 'resets' | 'y' | 'lastState'): number {
  return scanDimensions(shape, name).reduce((product, [, size]) => product * size, 1);
}

/** Axes of an argument or a result, named as in error messages. */
export function scanDimensions(
  shape: ScanShape,
  name: ScanArgument | 'resets' | 'y' | 'lastState',
): readonly (readonly [axis: string, size: number])[] {
  const { batch, length, channels, dState, groups } = shape;
  const parts: (readonly [string, number])[] = shape.complex ? [['re/im', 2]] : [];
  const perChannel = [['channels', channels], ['dState', dState], ...parts] as const;
  const variable = [['batch', batch], ['length', length], ['groups', groups], ['dState', dState], ...parts] as const;
  switch (name) {
    case 'u':
    case 'delta':
    case 'z':
    case 'y':
      return [
        ['batch', batch],
        ['length', length],
        ['channels', channels],
      ];
    case 'A':
      return perChannel;
    case 'B':
      return shape.variableB ? variable : perChannel;
    case 'C':
      return shape.variableC ? variable : perChannel;
    case 'D':
    case 'deltaBias':
      return [['channels', channels]];
    case 'initialState':
    case 'lastState':
      return [['batch', batch], ...perChannel];
    case 'resets':
      return [
        ['batch', batch],
        ['length', length],
      ];
  }
}

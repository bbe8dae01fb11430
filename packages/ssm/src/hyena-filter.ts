import { Linear, Module, parameter } from '@mamba-ts/nn';
import { full, OutOfRangeError, type RandomGenerator, type Tensor, tensor, type Variable } from '@mamba-ts/tensor';
import { checkPositive, checkSize } from './check-config';

/** How an implicit filter is made (Hyena, arXiv 2302.10866, §3.3). */
export interface HyenaFilterConfig {
  /** Longest sequence: positions and decay are relative to it, so that it is part of the function. Default 2048. */
  readonly lMax?: number;
  /** Features of a position, odd: t, and cosines and sines of (embDim − 1) / 2 frequencies. Default 3. */
  readonly embDim?: number;
  /** Width of the MLP. Default 64. */
  readonly filterOrder?: number;
  /** Layers of that width beside the first. Default 2. */
  readonly innerMlps?: number;
  /** Initial frequency of the sines, one a unit, shared by all layers. Default 1 (10 in language models and HyenaDNA). */
  readonly sineFrequency?: number;
  /** Learning rate of the positional features; 0: they stay as they are. Default 1e-5. */
  readonly positionLearningRate?: number;
  /** The window decays to `decayTarget` after these parts of lMax, in the fastest and the slowest channel. */
  readonly fastDecay?: number;
  readonly slowDecay?: number;
  /** Defaults 0.3, 1.5, 0.01. */
  readonly decayTarget?: number;
  /** Added to the window. Default 0 (0.05 in the standalone HyenaDNA). */
  readonly windowShift?: number;
  /** Divides a filter at each position by its sum of magnitudes over the channels. Default false. */
  readonly normalized?: boolean;
}

export const hyenaFilterSettings: Readonly<Record<keyof HyenaFilterConfig, true>> = {
  lMax: true,
  embDim: true,
  filterOrder: true,
  innerMlps: true,
  sineFrequency: true,
  positionLearningRate: true,
  fastDecay: true,
  slowDecay: true,
  decayTarget: true,
  windowShift: true,
  normalized: true,
};

/** @throws OutOfRangeError for a config that makes no sense */
export function checkHyenaFilter(layer: string, config: HyenaFilterConfig): void {
  const { embDim = 3, positionLearningRate = 1e-5, windowShift = 0 } = config;
  checkSize(layer, 'lMax', config.lMax ?? 2048);
  checkSize(layer, 'embDim', embDim, 3);
  if (embDim % 2 === 0) throw new OutOfRangeError(`${layer}: embDim is ${embDim}, expected an odd number`);
  checkSize(layer, 'filterOrder', config.filterOrder ?? 64);
  checkSize(layer, 'innerMlps', config.innerMlps ?? 2, 0);
  for (const name of ['sineFrequency', 'fastDecay', 'slowDecay', 'decayTarget'] as const)
    checkPositive(layer, name, config[name] ?? 1);
  for (const [name, value] of Object.entries({ positionLearningRate, windowShift })) {
    if (!(value >= 0 && Number.isFinite(value)))
      throw new OutOfRangeError(`${layer}: ${name} is ${value}, expected a number >= 0`);
  }
}

/**
 * z_i = [t_i, cos(f_b w_i) …, −sin(f_b w_i) …] of positions i < lMax, (lMax, embDim) row-major: t from 0 to 1, w_i = 2πi / lMax,
 * frequencies f from 1e-4 to bands − 1.
 */
export function hyenaPositions(lMax: number, embDim: number): Float64Array {
  const bands = (embDim - 1) / 2;
  const frequency = (b: number): number => 1e-4 + (bands === 1 ? 0 : (b * (bands - 1 - 1e-4)) / (bands - 1));
  return Float64Array.from({ length: lMax * embDim }, (_, at) => {
    const [i, feature] = [Math.floor(at / embDim), at % embDim];
    if (feature === 0) return timeOf(i, lMax);
    const angle = (2 * Math.PI * i * frequency((feature - 1) % bands)) / lMax;
    return feature <= bands ? Math.cos(angle) : -Math.sin(angle);
  });
}

/** Exponents δ of the window, ln(target) / slow to ln(target) / fast, evenly over the channels. */
export function hyenaDecays(channels: number, fast: number, slow: number, target: number): Float64Array {
  const [from, to] = [Math.log(target) / slow, Math.log(target) / fast];
  return Float64Array.from(
    { length: channels },
    (_, d) => from + (channels === 1 ? 0 : (d * (to - from)) / (channels - 1)),
  );
}

/** e^{−t |δ|} + shift: t (length, 1), δ (channels) */
export function hyenaWindow(t: Tensor, deltas: Tensor, shift: number): Tensor {
  return t.mul(deltas.abs()).neg().exp().add(shift);
}

function timeOf(i: number, lMax: number): number {
  return lMax === 1 ? 0 : i / (lMax - 1);
}

/** The first steps of a sequence share one filter of this many samples. */
const shortestStepTaps = 64;

class Positions extends Module {
  /** (1, lMax, embDim) */
  readonly z: Variable;
  /** Not trained: (1, lMax, 1) */
  readonly t: Variable;

  constructor(lMax: number, embDim: number, learningRate: number, random: RandomGenerator) {
    super();
    const { device } = random.state;
    const trained = learningRate > 0 ? { learningRate, weightDecay: false } : { trainable: false };
    this.z = parameter(tensor(hyenaPositions(lMax, embDim), { shape: [1, lMax, embDim], device }), trained);
    const times = Float64Array.from({ length: lMax }, (_, i) => timeOf(i, lMax));
    this.t = parameter(tensor(times, { shape: [1, lMax, 1], device }), { trainable: false });
  }
}

/** sin(f x), one frequency a unit. */
class Sine extends Module {
  /** (1, filterOrder) */
  readonly freq: Variable;

  constructor(width: number, frequency: number, random: RandomGenerator) {
    super();
    this.freq = parameter(full([1, width], frequency, { device: random.state.device }), { weightDecay: false });
  }

  forward(x: Tensor): Tensor {
    return x.mul(this.freq).sin();
  }
}

class Modulation extends Module {
  /** Not trained: (1, 1, channels) */
  readonly deltas: Variable;

  constructor(channels: number, config: HyenaFilterConfig, random: RandomGenerator) {
    super();
    const { fastDecay = 0.3, slowDecay = 1.5, decayTarget = 0.01 } = config;
    const deltas = hyenaDecays(channels, fastDecay, slowDecay, decayTarget);
    const { device } = random.state;
    this.deltas = parameter(tensor(deltas, { shape: [1, 1, channels], device }), { trainable: false });
  }
}

/**
 * The filters of Hyena as functions of time: an MLP with sines of positional features, times a window of exponential decay.
 * Parameters are named as in the safari repository.
 */
export class HyenaFilter extends Module {
  /** Skip of the convolutions: (channels) */
  readonly bias: Variable;
  readonly pos_emb: Positions;
  /** Linear layers and, between them, the one sine. */
  readonly implicit_filter: readonly (Linear | Sine)[];
  readonly modulation: Modulation;
  readonly lMax: number;
  private readonly windowShift: number;
  private readonly normalized: boolean;

  constructor(channels: number, config: HyenaFilterConfig, random: RandomGenerator) {
    super();
    const { lMax = 2048, embDim = 3, filterOrder = 64, innerMlps = 2 } = config;
    const { sineFrequency = 1, positionLearningRate = 1e-5, windowShift = 0, normalized = false } = config;
    this.lMax = lMax;
    this.windowShift = windowShift;
    this.normalized = normalized;
    this.bias = parameter(random.normal([channels]));
    this.pos_emb = new Positions(lMax, embDim, positionLearningRate, random);
    const sine = new Sine(filterOrder, sineFrequency, random);
    const widths = [embDim, ...new Array<number>(innerMlps).fill(filterOrder)];
    const last = new Linear(filterOrder, channels, random, { bias: false });
    this.implicit_filter = [...widths.flatMap((width) => [new Linear(width, filterOrder, random), sine]), last];
    for (const part of this.implicit_filter)
      for (const v of part.stateDict().values())
        Object.assign(v.metadata, { weightDecay: false, halfPrecision: false });
    this.modulation = new Modulation(channels, config, random);
  }

  /** The filters' first `length` samples: (length, channels). @throws OutOfRangeError beyond lMax, where there are none */
  taps(length: number): Tensor {
    if (length > this.lMax)
      throw new OutOfRangeError(`Hyena: the sequence has length ${length}, expected at most lMax (${this.lMax})`);
    const first = (x: Tensor): Tensor => x.squeeze(0).slice(0, 0, length);
    const h = this.implicit_filter.reduce((x: Tensor, part) => part.forward(x), first(this.pos_emb.z));
    const filters = h.mul(hyenaWindow(first(this.pos_emb.t), this.modulation.deltas.reshape(-1), this.windowShift));
    return this.normalized ? filters.div(filters.abs().sum(1, true)) : filters;
  }

  /**
   * As `taps`, for a single step: parts of longer filters, as many samples as a power of two, which all steps up to there share. `derived`, so that
   * a compiled step evaluates the MLP once. @throws OutOfRangeError beyond lMax
   */
  stepTaps(length: number): Tensor {
    const shared = Math.min(this.lMax, Math.max(shortestStepTaps, 2 ** Math.ceil(Math.log2(length))));
    return this.taps(Math.max(shared, length)).derived().slice(0, 0, length);
  }
}

import {
  causalConv1d,
  concat,
  cumsum,
  formatShape,
  type RandomGenerator,
  sameShape,
  ShapeError,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkInteger } from '../argument';
import { type Initializer, uniform } from '../initializers';
import { Module } from '../module';
import { initialized } from '../parameter';

export interface Conv1dOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Default U(±1/√width), as in PyTorch. */
  readonly weightInit?: Initializer;
  /** Default U(±1/√width), as in PyTorch. */
  readonly biasInit?: Initializer;
}

export interface Conv1dInput {
  /** (batch, width − 1, channels): the samples before the first. Default zeros. */
  readonly initial?: Tensor;
  /** int32 (batch, length): non-zero where a new packed sequence starts; nothing flows across. */
  readonly resets?: Tensor;
  /** The result goes through SiLU, in the same pass where the device can. Default false. */
  readonly silu?: boolean;
}

/**
 * Causal depthwise convolution over time, channel-last: y_t = bias + Σ_j weight_j · x_{t−(width−1)+j}, the short
 * convolution of H3, Hyena and Mamba. Parameters are laid out as PyTorch's `nn.Conv1d(channels, channels, width,
 * groups=channels)`.
 *
 * Its state between steps is the window of the last width − 1 samples, a value as every layer's state.
 */
export class Conv1d extends Module {
  /** (channels, 1, width); the last tap meets the current sample. */
  readonly weight: Variable;
  /** (channels) or null. */
  readonly bias: Variable | null;

  constructor(channels: number, width: number, random: RandomGenerator, options: Conv1dOptions = {}) {
    super();
    checkInteger('Conv1d', 'channels', channels, 1);
    checkInteger('Conv1d', 'width', width, 1);
    const bound = 1 / Math.sqrt(width);
    const { bias = true, weightInit = uniform(-bound, bound), biasInit = uniform(-bound, bound) } = options;
    this.weight = initialized([channels, 1, width], random, weightInit);
    this.bias = bias ? initialized([channels], random, biasInit) : null;
  }

  get channels(): number {
    return this.weight.shape[0];
  }

  get width(): number {
    return this.weight.shape[2];
  }

  /** (batch, length, channels) → the same shape */
  forward(x: Tensor, options: Conv1dInput = {}): Tensor {
    return causalConv1d(x, this.taps(), { bias: this.bias ?? undefined, ...options });
  }

  /** As `forward`, and the window after the last sample. */
  prefill(x: Tensor, options: Conv1dInput = {}): [Tensor, Tensor] {
    const keep = this.width - 1;
    if (options.initial) this.checkWindow('initial', options.initial, x.shape[0]);
    return [this.forward(x, options), windowAfter(x, keep, options)];
  }

  /**
   * One sample.
   *
   * @param x (batch, channels)
   * @param window (batch, width − 1, channels): the samples before it, oldest first
   * @returns y (batch, channels) and the next window
   */
  step(x: Tensor, window: Tensor): [Tensor, Tensor] {
    const { channels, width } = this;
    if (x.shape.length !== 2 || x.shape[1] !== channels) {
      throw new ShapeError(`Conv1d: x has shape ${formatShape(x.shape)}, expected (batch, channels ${channels})`);
    }
    this.checkWindow('window', window, x.shape[0]);
    // Tap by tap, not as a sum over an axis: then it fuses with what comes behind it.
    const taps = this.taps();
    const tap = (j: number): Tensor => taps.slice(1, j, j + 1).squeeze(1);
    let y = x.mul(tap(width - 1));
    for (let j = width - 2; j >= 0; j--) y = y.add(window.slice(1, j, j + 1).squeeze(1).mul(tap(j)));
    const now = x.unsqueeze(1);
    const seen = width === 1 ? now : concat([window, now], 1);
    return [this.bias ? y.add(this.bias) : y, seen.slice(1, 1)];
  }

  /** The window before the first sample: zeros (batch, width − 1, channels). */
  initialWindow(batch: number): Tensor {
    checkInteger('Conv1d', 'batch', batch, 0);
    return zeros([batch, this.width - 1, this.channels], { device: this.weight.device });
  }

  private taps(): Tensor {
    return this.weight.reshape(this.channels, this.width);
  }

  private checkWindow(name: string, window: Tensor, batch: number): void {
    const { channels, width } = this;
    if (sameShape(window.shape, [batch, width - 1, channels])) return;
    const expected = `(batch ${batch}, width - 1 ${width - 1}, channels ${channels})`;
    throw new ShapeError(`Conv1d: ${name} has shape ${formatShape(window.shape)}, expected ${expected}`);
  }
}

/**
 * The window that the next sample of a causal convolution meets: the last samples of `initial` and x, oldest first; zeros for
 * those of a sequence that a reset ended.
 *
 * @param x (batch, length, channels)
 * @param keep how many: the convolution's width − 1
 * @returns (batch, keep, channels)
 */
export function windowAfter(x: Tensor, keep: number, { initial, resets }: Conv1dInput): Tensor {
  const [batch, length, channels] = x.shape;
  const start = initial ?? zeros([batch, keep, channels], { device: x.device });
  if (keep === 0) return start;
  const recent = Math.min(keep, length);
  const x0 = x.slice(1, length - recent);
  const window = recent === keep ? x0 : concat([start.slice(1, recent), x0], 1);
  if (!resets || recent === 0) return window;
  // A sample of time t survives if no sequence starts in (t, length). What lies before x goes at any reset.
  const starts = resets
    .slice(1, length - recent)
    .notEqual(0)
    .cast('float32');
  const after = cumsum(starts, 1, true);
  const own = after.slice(1, 1).pad(1, 0, 1);
  const all = recent === keep ? own : concat([after.slice(1, 0, 1).expand(batch, keep - recent), own], 1);
  return window.mul(all.equal(0).cast('float32').unsqueeze(2));
}

import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { ptx } from '../ptx/causal-conv1d';
import type { CudaRoutine } from '../routine';
import { StructLaunch } from '../struct-launch';
import { firstElement, rowPitch } from '../views';

/** Fields of `ConvArguments` (kernels/causal-conv1d.cuh), in order. */
export const convFields = [
  'gradY', 'x', 'weight', 'bias', 'initial', 'resets', 'y', 'gradX', 'gradWeight', 'gradBias', 'gradInitial', 'parts',
  'batch', 'length', 'channels', 'width', 'rowX', 'chunk', 'chunks', 'slices', 'silu',
] as const;

export type ConvLaunch = StructLaunch<(typeof convFields)[number]>;

export interface ConvSizes {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly width: number;
}

export function convSizes(call: RoutineCall, x: number): ConvSizes {
  const [batch, length, channels] = (call.inputs[x] as TensorSpec).shape;
  return { batch, length, channels, width: (call.inputs[x + 1] as TensorSpec).shape[1] };
}

/** Widths whose samples fit a thread's registers. */
export function isNarrow(width: number): boolean {
  return width >= 2 && width <= 4;
}

/** Channels of a thread: four where rows stay aligned to 16 bytes. */
export function channelsOfThread({ channels }: ConvSizes): number {
  return channels % 4 === 0 ? 4 : 1;
}

/** Steps of a thread: as many as leave every multiprocessor with `threads` threads, at most `most`. */
export function stepsOfThread(s: ConvSizes, multiprocessors: number, threads: number, most: number): number {
  const lanes = s.batch * (s.channels / channelsOfThread(s));
  let steps = most;
  while (steps > 4 && (lanes * s.length) / steps < threads * multiprocessors) steps /= 2;
  return steps;
}

export const causalConv1d: CudaRoutine = {
  viewInputs: { 0: 2 },
  scratchBytes: () => 0,
  prepare(call, host) {
    const s = convSizes(call, 0);
    const { driver, multiprocessors } = host.context;
    const perThread = channelsOfThread(s);
    const narrow = isNarrow(s.width);
    const chunk = narrow ? stepsOfThread(s, multiprocessors, 1024, 32) : 1;
    const chunks = Math.ceil(s.length / chunk);
    const name = narrow ? `conv_w${s.width}v${perThread}` : 'conv_any';
    const threads = s.batch * chunks * (narrow ? s.channels / perThread : s.channels);
    const blocks = Math.ceil(threads / 128);
    const kernel: ConvLaunch = new StructLaunch(driver, host.kernel(ptx, name), { grid: [blocks], block: [128] }, convFields);
    const [specX] = call.inputs;
    const silu = Boolean(call.attributes.silu);
    kernel.set({ ...s, rowX: rowPitch(specX as TensorSpec, s.channels), chunk, chunks, silu });
    return {
      launch(stream, { inputs: [x, weight, bias, initial, resets], outputs: [y] }) {
        if (blocks > 0) kernel.set({ x: firstElement(x, specX), weight, bias, initial, resets, y }).launch(stream);
      },
      describe: () => `${name}, ${blocks} blocks, ${chunk} steps a thread${silu ? ', SiLU' : ''}`,
    };
  },
};

import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { ptx } from '../ptx/causal-conv1d-backward';
import type { CudaRoutine, RoutineHost } from '../routine';
import { StructLaunch } from '../struct-launch';
import { firstElement, rowPitch } from '../views';
import { channelsOfThread, convFields, type ConvLaunch, convSizes, isNarrow, stepsOfThread } from './causal-conv1d';

interface Cut {
  /** Steps of a slice of rows, and how many there are in a sequence and in all. */
  readonly chunk: number;
  readonly chunks: number;
  readonly slices: number;
  readonly partBytes: number;
  /** Bytes behind the parts for gradients before SiLU, where they are written down. */
  readonly beforeBytes: number;
}

function cutOf(call: RoutineCall, context: CudaContext): Cut {
  const s = convSizes(call, 1);
  const chunk = isNarrow(s.width) ? stepsOfThread(s, context.multiprocessors, 960, 128) : 256;
  // An empty sequence still has a thread a channel: it writes the gradient of `initial`.
  const chunks = Math.max(1, Math.ceil(s.length / chunk));
  const slices = s.batch * chunks;
  const partBytes = Math.ceil((slices * s.channels * (s.width + 1) * 4) / 256) * 256;
  return { chunk, chunks, slices, partBytes, beforeBytes: call.attributes.silu && !isNarrow(s.width) ? s.batch * s.length * s.channels * 4 : 0 };
}

export const causalConv1dBackward: CudaRoutine = {
  viewInputs: { 1: 2 },
  scratchBytes: (call, context) => cutOf(call, context).partBytes + cutOf(call, context).beforeBytes,
  prepare(call: RoutineCall, host: RoutineHost) {
    const s = convSizes(call, 1);
    const { chunk, chunks, slices, partBytes } = cutOf(call, host.context);
    const specX = call.inputs[1] as TensorSpec;
    const launchOf = (name: string, threads: number, block = 128): ConvLaunch | null =>
      threads === 0
        ? null
        : new StructLaunch(host.context.driver, host.kernel(ptx, name), { grid: [Math.ceil(threads / block)], block: [block] }, convFields).set({
            ...{ ...s, rowX: rowPitch(specX, s.channels), chunk, chunks, slices },
          });
    const perThread = channelsOfThread(s);
    const columns = s.channels * (s.width + 1);
    const narrow = isNarrow(s.width);
    const silu = Boolean(call.attributes.silu);
    const name = narrow ? `conv_backward_${silu ? 'silu_' : ''}w${s.width}v${perThread}` : 'conv_backward_any';
    const main = narrow
      ? [launchOf(name, slices * (s.channels / perThread))]
      : [launchOf(name, s.batch * (s.length + s.width - 1) * s.channels), launchOf('conv_weights_any', slices * columns)];
    // Wide convolutions write the gradients before SiLU down: each is read by many threads.
    const before = silu && !narrow ? launchOf('conv_before_silu_any', s.batch * s.length * s.channels) : null;
    // 32 columns a block of 1,024 threads.
    const kernels = [...main, launchOf('conv_sum_slices', columns * 32, 1024)].filter((kernel) => kernel !== null);
    return {
      launch(stream, { inputs: [gradY, x, weight, initial, resets, bias = 0n], outputs: [gradX, gradWeight, gradBias, gradInitial], scratch }) {
        const operands = { x: firstElement(x, specX), weight, bias, initial, resets };
        const beforeSilu = scratch + BigInt(partBytes);
        before?.set({ ...operands, gradY, parts: beforeSilu }).launch(stream);
        for (const kernel of kernels) {
          kernel.set({ ...operands, gradY: before ? beforeSilu : gradY, gradX, gradWeight, gradBias, gradInitial, parts: scratch }).launch(stream);
        }
      },
      describe: () => `${name}, ${slices} slices of ${chunk} steps, then their sum${before ? ', SiLU before' : ''}`,
    };
  },
};

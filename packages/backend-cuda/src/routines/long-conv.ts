import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { ptx } from '../ptx/long-conv';
import type { CudaRoutine } from '../routine';
import { StructLaunch } from '../struct-launch';

/** Fields of `LongConvArguments` (kernels/long-conv.cu), in order. */
const fields = [
  'signal', 'filter', 'out', 'spectraA', 'spectraB', 'spectraOut',
  'batch', 'length', 'channels', 'taps', 'segmentsA', 'segmentsB', 'segmentsOut', 'backwards',
] as const;

/** What a call convolves: the output is a signal, or (kernel gradient) taps. */
interface LongConv {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly taps: number;
  readonly kind: 'convolve' | 'backwards' | 'taps';
}

/** Transforms of 2 ** log steps, and how many segments everything is cut into; null: term by term. */
interface Cut {
  readonly log: 8 | 11;
  readonly segmentsA: number;
  readonly segmentsB: number;
  readonly segmentsOut: number;
  readonly bytesA: number;
  readonly bytesB: number;
  readonly bytesOut: number;
}

/** Terms of an output up to which transforms do not pay. */
const shortTerms = 64;
const gridLimit = 65535;

function cutOf({ batch, length, channels, taps, kind }: LongConv): Cut | null {
  const terms = kind === 'taps' ? batch * length : Math.min(taps, length);
  if (terms <= shortTerms) return null;
  const log = length <= 256 ? 8 : 11;
  const half = 2 ** (log - 1);
  const signals = Math.ceil(length / half);
  const filters = Math.ceil(Math.min(taps, length) / half);
  const bytes = (matrices: number, segments: number): number => Math.ceil((matrices * segments * (half + 1) * channels * 8) / 256) * 256;
  return kind === 'taps'
    ? { log, segmentsA: signals, segmentsB: signals, segmentsOut: Math.ceil(taps / half), bytesA: bytes(batch, signals), bytesB: bytes(batch, signals), bytesOut: bytes(1, Math.ceil(taps / half)) }
    : { log, segmentsA: signals, segmentsB: filters, segmentsOut: signals, bytesA: bytes(batch, signals), bytesB: bytes(1, filters), bytesOut: bytes(batch, signals) };
}

/** The kernels of a call in their order, with their blocks. */
function launches(c: LongConv, cut: Cut): { readonly name: string; readonly grid: readonly [number, number, number]; readonly transform: boolean }[] {
  const groups = Math.ceil(c.channels / 8);
  const points = Math.ceil(((2 ** (cut.log - 1) + 1) * c.channels) / 256);
  const transform = (name: string, segments: number, matrices: number): ReturnType<typeof launches>[number] => ({
    ...{ name: `${name}_${cut.log}`, grid: [groups, segments, matrices], transform: true },
  });
  const pointwise = (name: string, y: number, z: number): ReturnType<typeof launches>[number] => ({
    ...{ name: `${name}_${cut.log}`, grid: [points, y, z], transform: false },
  });
  if (c.kind === 'taps') {
    return [
      transform('spectra_gradient', cut.segmentsA, c.batch),
      transform('spectra_other', cut.segmentsB, c.batch),
      pointwise('correlate', cut.segmentsOut, 1),
      transform('inverse_taps', cut.segmentsOut, 1),
    ];
  }
  return [
    transform('spectra_signal', cut.segmentsA, c.batch),
    transform('spectra_filter', cut.segmentsB, 1),
    pointwise('convolve', Math.ceil(cut.segmentsOut / 8), c.batch),
    transform('inverse_signal', cut.segmentsOut, c.batch),
  ];
}

function longConvRoutine(convOf: (call: RoutineCall) => LongConv): CudaRoutine {
  return {
    refuses(call: RoutineCall, _context: CudaContext) {
      const c = convOf(call);
      const cut = cutOf(c);
      const large = cut && launches(c, cut).find(({ grid }) => grid[1] > gridLimit || grid[2] > gridLimit);
      return large ? `${large.name} would take ${large.grid.join(' × ')} blocks, at most ${gridLimit} segments or sequences fit a launch` : null;
    },
    scratchBytes(call) {
      const cut = cutOf(convOf(call));
      return cut ? cut.bytesA + cut.bytesB + cut.bytesOut : 0;
    },
    prepare(call, host) {
      const c = convOf(call);
      const { batch, length, channels, taps, kind } = c;
      const cut = cutOf(c);
      const values = { batch, length, channels, taps, backwards: kind === 'backwards' };
      const { driver } = host.context;
      if (!cut) {
        const name = kind === 'taps' ? 'direct_taps' : 'direct_signal';
        const blocks = Math.ceil(((kind === 'taps' ? taps : batch * length) * channels) / 256);
        const kernel = new StructLaunch(driver, host.kernel(ptx, name), { grid: [blocks], block: [256] }, fields).set(values);
        return {
          launch(stream, { inputs: [signal, filter], outputs: [out] }) {
            if (blocks > 0) kernel.set({ signal, filter, out }).launch(stream);
          },
          describe: () => `${name}, ${blocks} blocks`,
        };
      }
      const size = 2 ** cut.log;
      const { segmentsA, segmentsB, segmentsOut } = cut;
      const kernels = launches(c, cut).map(({ name, grid, transform }) =>
        new StructLaunch(driver, host.kernel(ptx, name), { grid, block: [256], sharedBytes: transform ? (4 * size + size / 2) * 8 : 0 }, fields).set({
          ...{ ...values, segmentsA, segmentsB, segmentsOut },
        }),
      );
      const empty = batch * length * channels * taps === 0;
      return {
        launch(stream, { inputs: [signal, filter], outputs: [out], scratch }) {
          if (empty) return;
          const spectraB = scratch + BigInt(cut.bytesA);
          const spectraOut = spectraB + BigInt(cut.bytesB);
          for (const kernel of kernels) kernel.set({ signal, filter, out, spectraA: scratch, spectraB, spectraOut }).launch(stream);
        },
        describe: () => `transforms of ${size}, ${segmentsA} × ${segmentsB} segments`,
      };
    },
  };
}

function signalCall(call: RoutineCall, kind: 'convolve' | 'backwards'): LongConv {
  const [batch, length, channels] = (call.inputs[0] as TensorSpec).shape;
  return { batch, length, channels, taps: (call.inputs[1] as TensorSpec).shape[0], kind };
}

export const longConv: CudaRoutine = longConvRoutine((call) => signalCall(call, 'convolve'));

/** The same with time running backwards. */
export const longConvGradInput: CudaRoutine = longConvRoutine((call) => signalCall(call, 'backwards'));

export const longConvGradKernel: CudaRoutine = longConvRoutine((call) => {
  const [batch, length, channels] = (call.inputs[0] as TensorSpec).shape;
  return { batch, length, channels, taps: call.outputs[0].shape[0], kind: 'taps' };
});

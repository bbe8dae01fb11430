import type { RoutineCall } from '@mamba-ts/tensor';
import type { Pass } from '../pass';
import { align256, type Capabilities, inputSpec, type StepMemory, type WebGpuRoutine } from '../routine';
import { type LongTransform, longProductPasses, longSpectraBytes, longTransformOf } from './long-conv/long-transform';
import { forwardPass, inversePass, type Product, spectraBytes, type Transform, transformBytes, transformOf } from './long-conv/transform';

const workgroupSize = 64;

/** Term by term, through transforms, or whichever is the shorter way. Tests ask for one. */
export type Way = 'terms' | 'transforms' | 'shorter';

interface Plan {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  /** Taps that can matter, at most `length`. */
  readonly taps: number;
  readonly allTaps: number;
  /** How signals are transformed: within a workgroup, in several dispatches, or not at all. */
  readonly transform: { readonly short: Transform } | { readonly long: LongTransform } | null;
}

/** Products of length and taps from which transforms are shorter. */
const longFrom = 256 * 256;

/** Bytes that spectra of long transforms may take: the channels are cut so that they fit. */
const mostSpectraBytes = 2 ** 28;

/** @param rows of the two signals and of the result, together */
function planOf([batch, length, channels]: readonly number[], allTaps: number, { workgroupBytes, maxBindingBytes, software }: Capabilities, way: Way, rows: number): Plan {
  const taps = Math.min(allTaps, length);
  const size = { batch, length, channels, taps, allTaps };
  const wanted = way === 'transforms' || (way === 'shorter' && !software && length * taps >= longFrom);
  if (!wanted || batch * taps * channels === 0) return { ...size, transform: null };
  const bits = Math.ceil(Math.log2(Math.max(4, length + taps - 1)));
  if (transformBytes(bits) <= workgroupBytes) return { ...size, transform: { short: transformOf(bits) } };
  const pairs = Math.min(Math.ceil(channels / 2), Math.floor(Math.min(mostSpectraBytes, maxBindingBytes) / (rows * 2 ** bits * 8)));
  const long = pairs > 0 ? longTransformOf(bits, workgroupBytes, pairs) : null;
  return { ...size, transform: long && { long } };
}

/** Term by term: an invocation per element of the result, neighbours along the channels. */
function direct(total: number, label: string, bindings: Pass['bindings'], body: string): Pass[] {
  if (total === 0) return [];
  return [
    {
      label,
      bindings,
      body: `  let at = group * ${workgroupSize}u + lane;\n  if (at >= ${total}u) { return; }\n${body}`,
      workgroupSize,
      workgroups: Math.ceil(total / workgroupSize),
    },
  ];
}

/** y_t = Σ_j kernel_j u_{t-j}, or with time running backwards u_{t+j}. */
function convolution(p: Plan, backwards: boolean, memory: StepMemory): Pass[] {
  const { batch, length, channels, taps } = p;
  const total = batch * length * channels;
  if (taps === 0) return direct(total, 'wgsl zeros', [memory.output(0, 'y', 'f32')], '  y[at] = 0.0;');
  if (p.transform) return transformed(p, p.transform, memory, { rows: batch, taps: [1, p.allTaps, taps], out: length, used: length, summed: 1, correlate: backwards, shared: true });
  const count = backwards ? `min(${taps}u, ${length}u - t)` : `min(${taps}u, t + 1u)`;
  return direct(total, 'wgsl long conv, term by term', [memory.input(0, 'u', 'f32'), memory.input(1, 'taps', 'f32'), memory.output(0, 'y', 'f32')], `  let c = at % ${channels}u;
  let t = (at / ${channels}u) % ${length}u;
  var sum = 0.0f;
  let count = ${count};
  for (var j = 0u; j < count; j++) { sum += taps[j * ${channels}u + c] * u[at ${backwards ? '+' : '-'} j * ${channels}u]; }
  y[at] = sum;`);
}

function kernelGradient(p: Plan, memory: StepMemory): Pass[] {
  const { batch, length, channels, taps, allTaps } = p;
  if (batch * length === 0) return direct(allTaps * channels, 'wgsl zeros', [memory.output(0, 'out', 'f32')], '  out[at] = 0.0;');
  if (p.transform) return transformed(p, p.transform, memory, { rows: 1, taps: [batch, length, length], out: allTaps, used: taps, summed: batch, correlate: true, shared: false });
  return direct(allTaps * channels, 'wgsl long conv, gradient of the kernel, term by term', [memory.input(0, 'gradY', 'f32'), memory.input(1, 'u', 'f32'), memory.output(0, 'out', 'f32')], `  let c = at % ${channels}u;
  let j = at / ${channels}u;
  var sum = 0.0f;
  for (var b = 0u; b < ${batch}u; b++) {
    for (var t = j; t < ${length}u; t++) {
      let here = (b * ${length}u + t) * ${channels}u + c;
      sum += gradY[here] * u[here - j * ${channels}u];
    }
  }
  out[at] = sum;`);
}

/** What distinguishes the three routines: rows of the result, and the second signal as [rows, length, elements that count]. */
interface Transformed {
  readonly rows: number;
  readonly taps: readonly [number, number, number];
  readonly out: number;
  readonly used: number;
  readonly summed: number;
  readonly correlate: boolean;
  readonly shared: boolean;
}

/** Scratch: spectra of both signals and, of long transforms, the product on its way back. */
function parts(transform: NonNullable<Plan['transform']>, channels: number, rows: readonly number[]): { readonly offset: number; readonly bytes: number }[] {
  const made: { offset: number; bytes: number }[] = [];
  let offset = 0;
  for (const r of 'long' in transform ? rows : rows.slice(0, 2)) {
    const bytes = 'long' in transform ? longSpectraBytes(transform.long, r) : spectraBytes(transform.short, r, channels);
    made.push({ offset, bytes });
    offset += align256(bytes);
  }
  return made;
}

/** Spectra of both signals, then their products back in time. */
function transformed({ batch, length, channels }: Plan, transform: NonNullable<Plan['transform']>, memory: StepMemory, t: Transformed): Pass[] {
  const [first, second, back] = parts(transform, channels, [batch, t.taps[0], t.rows]);
  const scratch = (part: typeof first, writes: boolean): Pass['bindings'][number] => memory.scratch('spectra', 'vec2<f32>', part.offset, part.bytes, writes);
  const [rows, tapsLength, used] = t.taps;
  const product: Product = { rows: t.rows, length: t.out, used: t.used, channels, summed: t.summed, correlate: t.correlate, shared: t.shared };
  const out = memory.output(0, 'out', 'f32');
  const [a, b] = [memory.input(0, 'signal', 'f32'), memory.input(1, 'signal', 'f32')];
  if ('long' in transform) {
    const signals = [
      { rows: batch, length, used: length, memory: a, spectra: scratch(first, false) },
      { rows, length: tapsLength, used, memory: b, spectra: scratch(second, false) },
    ] as const;
    return longProductPasses(transform.long, product, ...signals, scratch(back, false), out);
  }
  return [
    forwardPass(transform.short, batch, length, length, channels, a, scratch(first, true)),
    forwardPass(transform.short, rows, tapsLength, used, channels, b, scratch(second, true)),
    inversePass(transform.short, product, scratch(first, false), scratch(second, false), out),
  ];
}

/** The three routines going one way. */
export function longConvBy(way: Way): Record<'longConv' | 'longConvGradInput' | 'longConvGradKernel', WebGpuRoutine> {
  /** @param rowsOf rows of the second signal and of the result, for a batch of the first */
  const routine = (taps: (call: RoutineCall) => number, rowsOf: (batch: number) => readonly [number, number], passes: (p: Plan, memory: StepMemory) => Pass[]): WebGpuRoutine => {
    const plan = (call: RoutineCall, capabilities: Capabilities): Plan => {
      const { shape } = inputSpec(call, 0);
      return planOf(shape, taps(call), capabilities, way, shape[0] + rowsOf(shape[0])[0] + rowsOf(shape[0])[1]);
    };
    return {
      scratchBytes(call, capabilities) {
        const p = plan(call, capabilities);
        if (!p.transform) return 0;
        const last = parts(p.transform, p.channels, [p.batch, ...rowsOf(p.batch)]).at(-1) as { offset: number; bytes: number };
        return align256(last.offset + last.bytes);
      },
      passes: (call, memory, capabilities) => passes(plan(call, capabilities), memory),
    };
  };
  const given = (call: RoutineCall): number => inputSpec(call, 1).shape[0];
  return {
    longConv: routine(given, (batch) => [1, batch], (p, memory) => convolution(p, false, memory)),
    // The same with time running backwards.
    longConvGradInput: routine(given, (batch) => [1, batch], (p, memory) => convolution(p, true, memory)),
    longConvGradKernel: routine((call) => call.outputs[0].shape[0], (batch) => [batch, 1], kernelGradient),
  };
}

const shorter = longConvBy('shorter');
export const longConv: WebGpuRoutine = shorter.longConv;
export const longConvGradInput: WebGpuRoutine = shorter.longConvGradInput;
export const longConvGradKernel: WebGpuRoutine = shorter.longConvGradKernel;

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type SafetensorsTensor, tensorFromFloats, writeSafetensors } from '@mamba-ts/nn/safetensors';

/** mulberry32: a small seeded generator of numbers in [0, 1). */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface ScanSizes {
  readonly batch: number;
  readonly channels: number;
  readonly dState: number;
  readonly length: number;
  readonly groups: number;
  readonly complex: boolean;
}

/** Changes a fixture before it is written. */
export interface Changes {
  readonly tensors?: (tensors: Map<string, SafetensorsTensor>) => void;
  readonly settings?: (settings: Record<string, unknown>) => void;
}

/**
 * Writes a fixture of the selective scan with B and C that vary, in the layout of the published fixtures, its outputs
 * by plain loops in that layout.
 */
export async function writeScanCase(
  folder: string,
  name: string,
  sizes: ScanSizes,
  changes: Changes = {},
): Promise<void> {
  const { batch, channels, dState, length, groups, complex } = sizes;
  const random = seededRandom(length);
  const width = complex ? 2 : 1;
  const draw = (count: number, low = -1, high = 1): Float32Array =>
    Float32Array.from({ length: count }, () => low + (high - low) * random());
  const u = draw(batch * channels * length);
  const delta = draw(batch * channels * length, 0.05, 0.5);
  const A = draw(channels * dState * width).map((value, i) => (i % width === 0 ? -0.2 - Math.abs(value) : 2 * value));
  const B = draw(batch * groups * dState * length * width);
  const C = draw(batch * groups * dState * length * width);
  const D = draw(channels);
  const out = new Float32Array(batch * channels * length);
  const lastState = new Float32Array(batch * channels * dState * width);
  for (let row = 0; row < batch * channels; row++) {
    const b = Math.floor(row / channels);
    const d = row % channels;
    const group = Math.floor(d / (channels / groups));
    for (let t = 0; t < length; t++) out[row * length + t] = D[d]! * u[row * length + t]!;
    for (let n = 0; n < dState; n++) {
      let [re, im] = [0, 0];
      const a = (d * dState + n) * width;
      for (let t = 0; t < length; t++) {
        const at = row * length + t;
        const bc = (((b * groups + group) * dState + n) * length + t) * width;
        const size = Math.exp(delta[at]! * A[a]!);
        const angle = complex ? delta[at]! * A[a + 1]! : 0;
        const [cos, sin] = [size * Math.cos(angle), size * Math.sin(angle)];
        const drive = delta[at]! * u[at]!;
        [re, im] = [cos * re - sin * im + drive * B[bc]!, cos * im + sin * re + (complex ? drive * B[bc + 1]! : 0)];
        out[at]! += complex ? 2 * (C[bc]! * re - C[bc + 1]! * im) : C[bc]! * re;
      }
      lastState[(row * dState + n) * width] = re;
      if (complex) lastState[(row * dState + n) * width + 1] = im;
    }
  }
  const ending = complex ? '.ri' : '';
  const pair = complex ? [2] : [];
  const variable = [batch, ...(groups === 1 ? [] : [groups]), dState, length * width];
  const tensors = new Map([
    ['in.u', tensorFromFloats(u, [batch, channels, length])],
    ['in.delta', tensorFromFloats(delta, [batch, channels, length])],
    [`in.A${ending}`, tensorFromFloats(A, [channels, dState, ...pair])],
    ['in.B', tensorFromFloats(B, variable)],
    ['in.C', tensorFromFloats(C, variable)],
    ['in.D', tensorFromFloats(D, [channels])],
    ['out', tensorFromFloats(out, [batch, channels, length])],
    [`last_state${ending}`, tensorFromFloats(lastState, [batch, channels, dState, ...pair])],
  ]);
  const settings: Record<string, unknown> = {
    ...{ complex, groups, variable_B: true, variable_C: true },
    ...{ has_D: true, has_z: false, has_delta_bias: false, delta_softplus: false },
  };
  changes.tensors?.(tensors);
  changes.settings?.(settings);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.safetensors`), writeSafetensors(tensors));
  await writeFile(join(folder, `${name}.json`), JSON.stringify(settings));
}

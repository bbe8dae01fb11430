import { checkId } from './byte-strings';
import type { Codec } from './codec';
import { TokenizerError } from './error';

/** The id of silence: what stands before the first sample of a clip. */
export const muLawSilence = 128;

/**
 * Audio as 8-bit mu-law, 256 ids, as SaShiMi (arXiv 2202.09729) and Mamba's speech and piano models have it: fine steps for quiet samples, coarse
 * ones for loud. Samples lie in [-1, 1]; `scaleClip` brings a clip there.
 *
 * Decoding gives the level of a code, not the middle of its interval: `decode` of 128 is 0, of 0 is -1, of 255 is 0.957, as in the published code.
 */
export class MuLaw implements Codec<ArrayLike<number>, Float32Array> {
  readonly vocabSize: number = 256;

  /** @throws TokenizerError `invalid-argument` for a sample that is outside [-1, 1] or no number */
  encode(samples: ArrayLike<number>): Int32Array {
    const ids = new Int32Array(samples.length);
    for (let i = 0; i < ids.length; i++) {
      const x = samples[i]!;
      if (!(x >= -1 && x <= 1)) throw new TokenizerError('invalid-argument', `sample ${i} is ${x}, expected a number from -1 to 1`);
      // The small number keeps 0 on the upper side; the shift and the factor leave 1 in the last interval.
      const companded = (Math.sign(x) * Math.log1p(255 * Math.abs(x + 1e-8))) / Math.log(256);
      ids[i] = Math.floor(((companded + 1) / 2) * (256 - 0.01) + 0.005);
    }
    return ids;
  }

  decode(ids: ArrayLike<number>): Float32Array {
    const samples = new Float32Array(ids.length);
    for (let i = 0; i < samples.length; i++) {
      checkId(ids[i]!, 256, i);
      samples[i] = this.level(ids[i]!);
    }
    return samples;
  }

  /** The sample that an id stands for, in full precision. */
  level(id: number): number {
    checkId(id, 256);
    const v = id / 128 - 1;
    return (Math.sign(v) * (256 ** Math.abs(v) - 1)) / 255;
  }
}

/** A clip shifted and stretched to [-1, 1] by its smallest and largest sample; the published code's 1e-6 keeps silence from being 0 / 0. */
export function scaleClip(samples: ArrayLike<number>): Float64Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < samples.length; i++) {
    low = Math.min(low, samples[i]!);
    high = Math.max(high, samples[i]!);
  }
  return Float64Array.from(samples, (x) => (2 * (x - low)) / (high - low + 1e-6) - 1);
}

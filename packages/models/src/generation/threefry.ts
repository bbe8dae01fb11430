const rotations = [13, 15, 26, 6, 17, 29, 16, 24];

/**
 * One word of Threefry-2x32 with 20 rounds (Salmon et al. 2011), on the host: the generator of @mamba-ts/tensor. Word
 * `index` of draw `draw` under `seed` is what `new RandomGenerator(seed).bits` gives as element `index` of that draw.
 */
export function threefry(seed: number, draw: number, index: number): number {
  const keys = [seed | 0, draw | 0, 0x1bd11bda ^ seed ^ draw];
  let x0 = (index + keys[0]) | 0;
  let x1 = keys[1];
  for (let round = 0; round < 20; round++) {
    x0 = (x0 + x1) | 0;
    const r = rotations[round % 8];
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    if (round % 4 === 3) {
      const block = (round + 1) / 4;
      x0 = (x0 + keys[block % 3]) | 0;
      x1 = (x1 + keys[(block + 1) % 3] + block) | 0;
    }
  }
  return x0;
}

/** Uniform in [0, 1), 24 random bits: element 0 of draw `draw`. */
export function uniform(seed: number, draw: number): number {
  return (threefry(seed, draw, 0) >>> 8) * 2 ** -24;
}

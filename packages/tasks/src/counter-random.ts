import { checkInteger } from './errors';

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/**
 * Random numbers by position instead of by history: draw `i` of row `row` is a hash of (seed, stream, row, i), so that any batch of any run can
 * be made without those before it. The hash is Threefry-2x32 with 20 rounds (Salmon et al., 2011), as on the devices.
 */
export class CounterRandom {
  private draws = 0;
  private readonly word = new Int32Array(1);

  /** `stream` tells apart the uses of one seed (training, validation). */
  constructor(
    private readonly seed: number,
    private readonly stream: number,
    private readonly row: number,
  ) {
    checkInteger('CounterRandom', 'seed', seed, -(2 ** 31), 2 ** 31 - 1);
    checkInteger('CounterRandom', 'stream', stream, 0, 2 ** 31 - 1);
    checkInteger('CounterRandom', 'row', row, 0, 2 ** 32 - 1);
  }

  /** 32 random bits, unsigned. */
  bits(): number {
    threefry(this.seed, this.stream, this.row, this.draws++, this.word);
    return this.word[0] >>> 0;
  }

  /** An integer in [0, bound), bound <= 2^31; uniform but for a bias below bound / 2^32. */
  below(bound: number): number {
    return Math.floor((this.bits() * bound) / 2 ** 32);
  }
}

/** First word of threefry(key = (k0, k1), counter = (c0, c1)). */
export function threefry(k0: number, k1: number, c0: number, c1: number, out: Int32Array): void {
  const keys = [k0 | 0, k1 | 0, k0 ^ k1 ^ 0x1bd11bda];
  let x = (c0 + keys[0]) | 0;
  let y = (c1 + keys[1]) | 0;
  for (let group = 0; group < 5; group++) {
    for (let r = 0; r < 4; r++) {
      const turn = rotations[(group % 2) * 4 + r];
      x = (x + y) | 0;
      y = ((y << turn) | (y >>> (32 - turn))) ^ x;
    }
    x = (x + keys[(group + 1) % 3]) | 0;
    y = (y + keys[(group + 2) % 3] + group + 1) | 0;
  }
  out[0] = x;
}

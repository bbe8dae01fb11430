import type { Device } from './device';
import { getDefaultDevice } from './device';
import { OutOfRangeError } from './errors';
import { binary, cast, constant, index, reshape, slice, threefry, unary } from './graph/build';
import type { Node } from './graph/node';
import { checkShape, type Shape, sizeOf } from './shape';
import { tensor } from './functions/create';
import { Tensor } from './tensor';
import { variable, type Variable } from './variable';

/**
 * Counter-based random numbers (Threefry-2x32, 20 rounds): the same stream on every device for one seed, also inside compiled steps, where each
 * replay draws anew.
 *
 * The state is one int32 pair (seed, draws so far), a Variable like any other: save it to continue a run.
 */
export class RandomGenerator {
  /** int32 (2): seed and number of draws. */
  readonly state: Variable;

  constructor(seed: number, device: Device = getDefaultDevice()) {
    if (!Number.isInteger(seed) || (seed | 0) !== seed) throw new OutOfRangeError(`RandomGenerator: seed is ${seed}, expected an int32`);
    const initial = tensor(Int32Array.of(seed, 0), { device });
    this.state = variable(initial);
    initial.dispose();
  }

  /** Random bits, int32: element i of draw k is word 0 of threefry(key = (seed, k), counter = (i, 0)). */
  bits(shape: Shape): Tensor {
    checkShape(shape, 'random');
    const state = this.state.node;
    const word = (i: number): Node => reshape(slice(state, [i], [1], [1]), []);
    const counter = index(state.device, [sizeOf(shape)], 0);
    // A tensor from here on: the assignment below must not free the state it reads.
    const bits = new Tensor(reshape(threefry(word(0), word(1), counter, 0), shape));
    const isCount = index(state.device, [2], 0);
    const next = new Tensor(binary('add', state, isCount));
    this.state.assign(next);
    next.dispose();
    return bits;
  }

  /** Uniform in [low, high): 24 random bits each. */
  uniform(shape: Shape, low = 0, high = 1): Tensor {
    return this.transformed(shape, (u) => scaleTo(u, low, high));
  }

  /** Normal, by Box-Muller on two uniforms. */
  normal(shape: Shape, mean = 0, deviation = 1): Tensor {
    const number = (v: number): Node => constant(this.state.device, v);
    // 1 - u lies in (0, 1]: the logarithm is finite.
    const radius = this.transformed(shape, (u) => unary('sqrt', binary('mul', number(-2), unary('log', binary('sub', number(1), u)))));
    const normal = this.transformed(shape, (v) => {
      const cosine = unary('cos', binary('mul', number(2 * Math.PI), v));
      return binary('add', binary('mul', binary('mul', radius.node, cosine), number(deviation)), number(mean));
    });
    radius.dispose();
    return normal;
  }

  /** Integers in [low, high), int32. Ranges far below 2^24 are uniform to 2^-24. */
  integers(shape: Shape, low: number, high: number): Tensor {
    if (!(Number.isInteger(low) && Number.isInteger(high) && high > low && high - low <= 1 << 24)) {
      throw new OutOfRangeError(`integers: range is [${low}, ${high}), expected integers with 0 < high - low <= 2^24`);
    }
    return this.transformed(shape, (u) => binary('add', cast(unary('floor', scaleTo(u, 0, high - low)), 'int32'), constant(u.device, low, 'int32')));
  }

  /** 1 with probability p, else 0, as float32. */
  bernoulli(shape: Shape, p: number): Tensor {
    return this.transformed(shape, (u) => cast(binary('lt', u, constant(u.device, p)), 'float32'));
  }

  dispose(): void {
    this.state.dispose();
  }

  /** A function of uniforms in [0, 1). */
  private transformed(shape: Shape, map: (u: Node) => Node): Tensor {
    const bits = this.bits(shape);
    const result = new Tensor(map(unitInterval(bits.node)));
    bits.dispose();
    return result;
  }
}

/** The upper 24 bits as a float in [0, 1). */
function unitInterval(bits: Node): Node {
  const upper = binary('shr', bits, constant(bits.device, 8, 'int32'));
  return binary('mul', cast(upper, 'float32'), constant(bits.device, 2 ** -24));
}

function scaleTo(u: Node, low: number, high: number): Node {
  const scaled = binary('mul', u, constant(u.device, high - low));
  return binary('add', scaled, constant(u.device, low));
}

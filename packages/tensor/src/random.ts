import type { Device } from './device';
import { getDefaultDevice } from './device';
import { OutOfRangeError } from './errors';
import { binary, cast, constant, index, threefry, unary } from './graph/build';
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
    return new Tensor(this.draw(shape));
  }

  /** Uniform in [low, high): 24 random bits each. */
  uniform(shape: Shape, low = 0, high = 1): Tensor {
    return new Tensor(scaleTo(unitInterval(this.draw(shape)), low, high));
  }

  /** Normal, by Box-Muller on two uniforms. */
  normal(shape: Shape, mean = 0, deviation = 1): Tensor {
    const device = this.state.device;
    const number = (v: number): Node => constant(device, v);
    const u = unitInterval(this.draw(shape));
    const v = unitInterval(this.draw(shape));
    // 1 - u lies in (0, 1]: the logarithm is finite.
    const radius = unary('sqrt', binary('mul', number(-2), unary('log', binary('sub', number(1), u))));
    const angle = binary('mul', number(2 * Math.PI), v);
    return new Tensor(scaleTo(binary('mul', radius, unary('cos', angle)), mean, mean + deviation));
  }

  /** Integers in [low, high), int32. Ranges far below 2^24 are uniform to 2^-24. */
  integers(shape: Shape, low: number, high: number): Tensor {
    if (!(Number.isInteger(low) && Number.isInteger(high) && high > low && high - low <= 1 << 24)) {
      throw new OutOfRangeError(`integers: range is [${low}, ${high}), expected integers with 0 < high - low <= 2^24`);
    }
    const u = scaleTo(unitInterval(this.draw(shape)), 0, high - low);
    return new Tensor(binary('add', cast(unary('floor', u), 'int32'), constant(this.state.device, low, 'int32')));
  }

  /** 1 with probability p, else 0, as float32. */
  bernoulli(shape: Shape, p: number): Tensor {
    return this.uniform(shape).less(p).cast('float32');
  }

  dispose(): void {
    this.state.dispose();
  }

  private draw(shape: Shape): Node {
    checkShape(shape, 'random');
    const device = this.state.device;
    const [seed, count] = [0, 1].map((i) => this.state.slice(0, i, i + 1).reshape().node);
    const n = sizeOf(shape);
    const bits = threefry(seed, count, index(device, [n], 0), 0);
    this.state.assign(this.state.add(tensor([0, 1], { dtype: 'int32', device })));
    const flat = new Tensor(bits);
    return flat.reshape(...shape).node;
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

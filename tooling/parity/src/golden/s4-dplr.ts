import { hippoLegSModes, realChange, realVector, S4 } from '@mamba-ts/ssm';
import { scope, type Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';
import { agreement, type GoldenCase } from './golden-case';

/* S4 with one channel. Golden cases are in HiPPO's real basis. The layer keeps the poles −½ − iω of each pair: in terms of
   its modes y, a state is x = 2 Re V̄ y, and y = Vᵀ x. */

/** From the layer's real vectors (Re y_0, Im y_0, Re y_1, …) to HiPPO's, and back; row-major, dState by dState. */
function basis(dState: number): { toHippo: Float64Array; fromHippo: Float64Array } {
  const { re, im } = hippoLegSModes(dState).vectors;
  const toHippo = new Float64Array(dState * dState);
  const fromHippo = new Float64Array(dState * dState);
  for (let n = 0; n < dState; n++) {
    for (let mode = 0; mode < dState / 2; mode++) {
      const [real, imaginary] = [re[(n * dState) / 2 + mode]!, im[(n * dState) / 2 + mode]!];
      toHippo[n * dState + 2 * mode] = 2 * real;
      toHippo[n * dState + 2 * mode + 1] = 2 * imaginary;
      fromHippo[2 * mode * dState + n] = real;
      fromHippo[(2 * mode + 1) * dState + n] = imaginary;
    }
  }
  return { toHippo, fromHippo };
}

/** C in HiPPO's basis as the layer's. */
function coefficients(C: Float64Array): Float64Array {
  const dState = C.length;
  const { re, im } = hippoLegSModes(dState).vectors;
  const found = new Float64Array(dState);
  for (let n = 0; n < dState; n++) {
    for (let mode = 0; mode < dState / 2; mode++) {
      found[2 * mode] = found[2 * mode]! + C[n]! * re[(n * dState) / 2 + mode]!;
      found[2 * mode + 1] = found[2 * mode + 1]! - C[n]! * im[(n * dState) / 2 + mode]!;
    }
  }
  return found;
}

/** What is exact to float64 is compared so; the layers of the reference's own setting clip B, these do not. */
function layerOf(golden: GoldenCase, dState: number, on: ParityDevice): S4 {
  const layer = new S4({ dModel: 1, dState, bClip: null }, on.random);
  layer.kernel.inv_dt.write(Float64Array.of(Math.log(golden.inputNumber('dt'))));
  const C = golden.hasInput('C') ? golden.input('C').data : new Float64Array(dState).fill(1);
  layer.kernel.C.write(coefficients(C));
  layer.D.write(Float64Array.of(0));
  return layer;
}

/**
 * HiPPO-LegS by the bilinear rule: Ā, B̄, C̃, the generating function at the roots of unity, the kernel, and outputs and states
 * of an input, as a convolution and step by step; those of them that the case has.
 */
export function* checkLowRank(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const dState = golden.inputNumber('N');
  const u = golden.input('u').data;
  const x = { data: u, shape: [1, u.length, 1] };
  const y = golden.hasOutput('y_of_u') ? golden.output('y_of_u').data : golden.output('y').data;
  const { toHippo, fromHippo } = basis(dState);
  const times = (states: Float64Array): number[] =>
    Array.from({ length: dState }, (_, n) => states.reduce((sum, v, i) => sum + toHippo[n * dState + i]! * v, 0));
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const { all, last, stepped } = scope(() => {
      const layer = layerOf(golden, dState, on);
      const prefilled = evaluate(() => {
        const [out, { ssm }] = layer.prefill(upload(on, x));
        return { out, ssm };
      });
      return { all: prefilled.out, last: prefilled.ssm, stepped: runSteps(layer, on, x) };
    });
    yield agrees('y', all, y);
    yield agrees('y, stepped', stepped.y, y);
    if (!golden.hasOutput('K')) continue;
    const length = golden.inputNumber('L');
    const found = evaluate(() => {
      const layer = layerOf(golden, dState, on);
      const { system, step, recurrence } = layer.discrete();
      const [to, from] = [toHippo, fromHippo].map((data) => upload(on, { data, shape: [dState, dState] })) as [
        Tensor,
        Tensor,
      ];
      const truncated = realVector(layer.kernel.truncated(length, recurrence)).reshape(1, dState);
      return {
        Ab: to
          .matmul(realChange(step).squeeze(0))
          .matmul(from)
          .add(upload(on, identity(dState))),
        Bb: to.matmul(realVector(step.input).transpose()),
        // 2 Re C̃ y of a state's modes y = Vᵀ x.
        Ct: truncated.mul(upload(on, { data: signs(dState), shape: [1, dState] })).matmul(from),
        Khat: layer.kernel.transform(length, system, recurrence).toPairs(),
        K: layer.taps(length)[0]!,
      };
    });
    for (const name of ['Ab', 'Bb', 'Ct', 'K'] as const) yield agrees(name, found[name], golden.output(name).data);
    yield agrees('Khat', found.Khat, golden.output('Khat').data.slice(0, found.Khat.length));
    const states = golden.output('state_after_each_step').data;
    yield agrees('last state', times(last), states.slice(-dState));
    const after = stepped.states.slice(1).flatMap(({ ssm }) => times(ssm!));
    yield agrees('states, stepped', after, states);
  }
}

/** 2 Re C̃ y as a real row times (Re y, Im y, …). */
function signs(dState: number): Float64Array {
  return Float64Array.from({ length: dState }, (_, i) => (i % 2 === 0 ? 2 : -2));
}

function identity(size: number): { data: Float64Array; shape: readonly number[] } {
  const data = Float64Array.from({ length: size * size }, (_, i) => Number(Math.floor(i / size) === i % size));
  return { data, shape: [size, size] };
}

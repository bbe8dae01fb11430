import { discretize } from '@mamba-ts/ssm';
import { Complex, selectiveScan, stack, type Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase } from './golden-case';

/**
 * The real scan with B̄ by zero-order hold instead of Euler's rule: B carries the hold's factor over Δ, which differs
 * from channel to channel, so there are as many groups as channels.
 */
export function* checkHold(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const group = 'exact_zoh_variant';
  if (!golden.hasOutput(group)) return;
  const [channels, length] = golden.input('u').shape as [number, number];
  const dState = golden.input('A').shape[1]!;
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      /** [rows][length] → (length, rows) */
      const sequence = (name: string): Tensor => upload(on, golden.input(name)).transpose(0, 1);
      const dt = sequence('delta_raw')
        .add(upload(on, golden.input('delta_bias')))
        .softplus();
      const A = upload(on, golden.input('A'));
      const poles = A.unsqueeze(0).expand(length, channels, dState);
      const hold = discretize(new Complex(poles, poles.mul(0)), dt.unsqueeze(2), 'zoh').inputScale.re;
      const perChannel = (name: string): Tensor => sequence(name).unsqueeze(1).expand(length, channels, dState);
      const inputs = { u: sequence('u'), delta: dt, z: sequence('z') };
      const projections = { B: hold.div(dt.unsqueeze(2)).mul(perChannel('B')), C: perChannel('C') };
      // Times as (batch, length): one sequence of the first `steps` of them, or each as a sequence of its own.
      const scan = (batch: number, steps: number): { core: Tensor; out: Tensor; lastState: Tensor } => {
        const cut = (x: Tensor): Tensor => x.slice(0, 0, batch * steps).reshape(batch, steps, ...x.shape.slice(1));
        const operands = {
          u: cut(inputs.u),
          delta: cut(inputs.delta),
          A,
          B: cut(projections.B),
          C: cut(projections.C),
        };
        const { y: core, lastState } = selectiveScan(operands);
        const skip = upload(on, golden.input('D'));
        return { core, out: selectiveScan({ ...operands, D: skip, z: cut(inputs.z) }).y, lastState };
      };
      const { core, out } = scan(1, length);
      const states = Array.from({ length }, (_, t) => scan(1, t + 1).lastState.squeeze(0));
      return {
        dBu: scan(length, 1).lastState.permute(1, 0, 2),
        h: stack(states, 1),
        y_core: core.squeeze(0).transpose(0, 1),
        out: out.squeeze(0).transpose(0, 1),
      };
    });
    for (const [name, actual] of Object.entries(found)) {
      yield agrees(`zoh ${name}`, actual, golden.output(group, name).data);
    }
  }
}

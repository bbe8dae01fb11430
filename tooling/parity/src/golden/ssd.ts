import { chunkedSsd } from '@mamba-ts/ssm';
import type { Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase, type GoldenChecker } from './golden-case';

/** Section 8 of the index: Mamba-2, SSD. */
export const ssdCheckers: readonly GoldenChecker[] = [{ prefix: 'ssd_', check: checkHead }];

/** One head: in chunks of several sizes, each chunk by itself, and each prefix of chunks. */
function* checkHead(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const x = golden.input('x[t][p]');
  const [length] = x.shape as [number, number];
  const chunk = golden.inputNumber('chunk');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const given = (): Head => headOf(golden, on);
    const run = (size: number, start = 0, end = length): { y: Float64Array; state: Float64Array } =>
      evaluate(() => {
        const { input, logDecay, B, C, skip } = given();
        const cut = (t: Tensor): Tensor => t.slice(1, start, end);
        const [y, state] = chunkedSsd({ x: cut(input), logDecay: cut(logDecay), B: cut(B), C: cut(C) }, size);
        return { y: y.add(cut(skip)), state };
      });
    for (const size of [1, chunk, length]) {
      const { y, state } = run(size);
      yield agrees(`y, chunks of ${size}`, y, golden.output('y[t][p]').data);
      yield agrees(`last state, chunks of ${size}`, state, golden.output('final_state[p][n]').data);
    }
    const local = golden.output('local_chunk_states');
    const entering = golden.output('states_entering_chunk');
    const size = local.data.length / local.shape[0]!;
    for (let c = 0; c * chunk < length; c++) {
      const expected = (of: { data: Float64Array }): Float64Array => of.data.subarray(c * size, (c + 1) * size);
      const end = Math.min((c + 1) * chunk, length);
      yield agrees(`state of chunk ${c} alone`, run(chunk, c * chunk, end).state, expected(local));
      if (c > 0) yield agrees(`state entering chunk ${c}`, run(chunk, 0, c * chunk).state, expected(entering));
    }
  }
}

interface Head {
  /** Δ x */
  readonly input: Tensor;
  /** D x */
  readonly skip: Tensor;
  readonly logDecay: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
}

function headOf(golden: GoldenCase, on: ParityDevice): Head {
  const sequence = (name: string): Tensor => {
    const { data, shape } = golden.input(name);
    const [length, width = 1] = shape as [number, number?];
    return upload(on, { data, shape: [1, length, 1, width] });
  };
  const x = sequence('x[t][p]');
  const dt = sequence('dt');
  return {
    input: x.mul(dt),
    skip: x.mul(golden.inputNumber('D')),
    logDecay: dt.squeeze(3).mul(golden.inputNumber('A')),
    B: sequence('B[t][n]'),
    C: sequence('C[t][n]'),
  };
}

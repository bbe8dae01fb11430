import { bitsPerByte } from '@mamba-ts/nn';
import { bitsPerByte as bitsPerByteOfTask } from '@mamba-ts/tasks';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase, type GoldenChecker, waiting } from './golden-case';

/** Section 6 of the index: SaShiMi and audio. */
export const audioCheckers: readonly GoldenChecker[] = [
  { prefix: 'bits_per_byte', check: checkBitsPerByte },
  ...waiting('sashimi_down_up_pool'),
];

function* checkBitsPerByte(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const nats = golden.input('nll_nats');
  const expected = golden.output('bpb').data;
  const agrees = agreement(golden);
  yield agrees(
    'of numbers',
    nats.data.map((loss) => bitsPerByte(loss)),
    expected,
  );
  yield agrees('of tasks', nats.data.map(bitsPerByteOfTask), expected);
  for (const on of devices) {
    const { bits } = evaluate(() => ({ bits: bitsPerByte(upload(on, nats)) }));
    yield agreement(golden, on)('of tensors', bits, expected);
  }
}

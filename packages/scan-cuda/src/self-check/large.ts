// Arrays of more than 2^31 elements: the end of a long scan must equal a short scan that starts from the state before it.
import { type ScanShape, scanSize } from '@mamba-ts/scan';
import { type Check, expectClose } from '@mamba-ts/scan/conformance';
import type { CudaContext } from '../driver/index';
import { planScan } from '../plan';
import { CudaScan } from '../scan';
import { BenchArrays } from './bench';
import { fromBf16 } from './device-scan';

const tail = 64;

async function compareTail(context: CudaContext, shape: ScanShape): Promise<void> {
  const kernels = new CudaScan(context);
  const options = { dtype: 'bf16', deltaSoftplus: true, multiprocessors: context.multiprocessors } as const;
  const forwardPlan = planScan(shape, { ...options, pass: 'forward', checkpoints: true });
  const backwardPlan = planScan(shape, { ...options, pass: 'backward', checkpoints: true });
  const arrays = new BenchArrays(context, backwardPlan);
  const scratch = context.allocate(Math.max(backwardPlan.scratchBytes, forwardPlan.scratchBytes) + 2 ** 26);
  const checkpoints = context.allocate(backwardPlan.checkpointBytes);
  (await kernels.prepare(forwardPlan)).launch(arrays.all({ scratch, checkpoints }));
  (await kernels.prepare(backwardPlan)).launch(arrays.all({ scratch, checkpoints }));
  context.synchronize();

  // the state before the tail, from a scan over everything else
  const head = { ...shape, length: shape.length - tail };
  const state = context.allocate(scanSize(shape, 'lastState') * 4);
  const wholeY = new Uint16Array(tail * shape.channels);
  const wholeGradient = new Uint16Array(tail * shape.channels);
  const offset = BigInt(head.length * shape.channels * 2);
  context.download(wholeY, arrays.pointers.y + offset);
  context.download(wholeGradient, arrays.pointers.gradU + offset);
  (await kernels.prepare(planScan(head, { ...options, pass: 'forward' }))).launch(arrays.all({ lastState: state, scratch }));
  context.synchronize();

  const short = { ...shape, length: tail };
  const shifted: Record<string, bigint> = {};
  for (const name of ['u', 'delta', 'z', 'gradY', 'y', 'gradU', 'gradDelta', 'gradZ']) shifted[name] = arrays.pointers[name] + offset;
  for (const name of ['B', 'C', 'gradB', 'gradC']) shifted[name] = arrays.pointers[name] + BigInt(head.length * shape.dState * 2);
  const pointers = arrays.all({ ...shifted, initialState: state, checkpoints, scratch });
  (await kernels.prepare(planScan(short, { ...options, pass: 'forward', checkpoints: true }))).launch(pointers);
  (await kernels.prepare(planScan(short, { ...options, pass: 'backward', checkpoints: true }))).launch(pointers);
  context.synchronize();
  const y = new Uint16Array(tail * shape.channels);
  const gradient = new Uint16Array(tail * shape.channels);
  context.download(y, shifted.y);
  context.download(gradient, shifted.gradU);
  for (const pointer of [state, scratch, checkpoints]) context.free(pointer);
  arrays.free();
  expectClose('y of the last steps', fromBf16(y), fromBf16(wholeY), 4e-3);
  expectClose('gradient of u of the last steps', fromBf16(gradient), fromBf16(wholeGradient), 4e-3);
}

export function largeChecks(context: CudaContext): Check[] {
  const base = { batch: 1, dState: 16, groups: 1, complex: false, variableB: true, variableC: true };
  const cases: ScanShape[] = [
    { ...base, length: 2 ** 21 + 128, channels: 1040 },
    { ...base, length: 2 ** 20 + 128, channels: 2049, dState: 2 },
  ];
  return cases.map((shape) => ({
    name: `beyond 2^31 elements: L${shape.length} D${shape.channels} N${shape.dState}`,
    body: () => compareTail(context, shape),
  }));
}

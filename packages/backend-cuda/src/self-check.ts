// Program: checks the backend on this machine's card against the float64 reference, and times kernels.
//   self-check [--only TEXT] [--no-suite] [--no-kernels] [--times]
import { plainRunner, testBackend } from '@mamba-ts/tensor/conformance';
import { cuda } from './cuda';
import { kernelChecks } from './self-check/kernels';
import { narrowProductChecks } from './self-check/narrow-products';
import { timeKernels } from './self-check/times';

const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const only = has('--only') ? args[args.indexOf('--only') + 1] : '';

async function main(): Promise<number> {
  const device = await cuda();
  console.log(device.backend.description);
  let failures = 0;
  const check = async (title: string, register: (runner: ReturnType<typeof plainRunner>['runner']) => void): Promise<void> => {
    const { runner, run } = plainRunner();
    register(runner);
    const start = performance.now();
    const { passed, failed } = await run({ only, log: (line) => console.log(line.slice(0, 1500)) });
    failures += failed.length;
    console.log(`${title}: ${passed} passed, ${failed.length} failed, ${((performance.now() - start) / 1000).toFixed(1)} s`);
  };
  if (!has('--no-kernels')) await check('kernels and row routines', (runner) => kernelChecks(runner, device));
  if (!has('--no-kernels')) await check('products of 9 to 64 rows', (runner) => narrowProductChecks(runner, device));
  if (!has('--no-suite')) await check('conformance suite', (runner) => testBackend(runner, 'cuda', () => cuda()));
  if (has('--times')) await timeKernels(device, console.log);
  device.dispose();
  return failures === 0 ? 0 : 1;
}

main().then(
  (code) => void (process.exitCode = code),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);

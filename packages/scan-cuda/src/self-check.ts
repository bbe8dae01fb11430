// Program: checks the kernels on this machine's card against the float64 reference, and times them.
//   self-check [--fixtures FOLDER] [--bench] [--tune] [--large] [--only TEXT] [--json FILE]
import { writeFileSync } from 'node:fs';
import { CudaContext } from './driver/index';
import { CudaScan } from './scan';
import { type BenchRow, benchScan, benchShapes, printRow, tableHead, tuneScan } from './self-check/bench';
import { type Check, contractChecks } from './self-check/contract';
import { DeviceScan } from './self-check/device-scan';
import { fixtureChecks } from './self-check/fixtures';
import { largeChecks } from './self-check/large';

const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const valueOf = (flag: string): string | undefined => (has(flag) ? args[args.indexOf(flag) + 1] : undefined);

async function runChecks(checks: readonly Check[]): Promise<number> {
  let failed = 0;
  const start = performance.now();
  for (const { name, body } of checks) {
    try {
      await body();
    } catch (error) {
      failed++;
      if (failed <= 40) console.log(`FAILED ${name}\n       ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  console.log(`${checks.length - failed} of ${checks.length} checks passed in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return failed;
}

async function main(): Promise<number> {
  const context = await CudaContext.open();
  const { name, computeCapability, multiprocessors, driverVersion } = context;
  console.log(`${name}, compute capability ${computeCapability.join('.')}, ${multiprocessors} multiprocessors, CUDA ${driverVersion}`);
  let failed = 0;
  if (!has('--no-checks')) {
    const fixtures = valueOf('--fixtures');
    if (fixtures === undefined) console.log('left out: cases of a public implementation (no --fixtures FOLDER)');
    const only = valueOf('--only') ?? '';
    const checks = [
      ...contractChecks(context),
      ...(fixtures === undefined ? [] : fixtureChecks(fixtures, new DeviceScan(context))),
      ...(has('--large') ? largeChecks(context) : []),
    ];
    if (!has('--large')) console.log('left out: arrays beyond 2^31 elements (no --large)');
    failed = await runChecks(checks.filter((check) => check.name.includes(only)));
  }
  const kernels = new CudaScan(context);
  if (has('--tune')) {
    const wanted = valueOf('--shapes')?.split(',');
    for (const shape of benchShapes) if (wanted === undefined || wanted.includes(`${shape.batch}x${shape.channels}x${shape.length}`)) await tuneScan(context, kernels, shape, console.log);
  }
  if (has('--bench')) {
    const rows: BenchRow[] = [];
    console.log(tableHead);
    for (const shape of benchShapes) {
      rows.push(await benchScan(context, kernels, shape));
      console.log(printRow(rows[rows.length - 1]));
    }
    for (const { shape, plans } of rows) console.log(`${shape.batch}x${shape.channels}x${shape.length}: ${plans.join(' || ')}`);
    const machine = { name, computeCapability, multiprocessors, driverVersion, node: process.version };
    const file = valueOf('--json');
    if (file !== undefined) writeFileSync(file, `${JSON.stringify({ benchmark: 'selective scan, CUDA', machine, rows }, null, 2)}\n`);
  }
  kernels.close();
  context.close();
  return failed === 0 ? 0 : 1;
}

main().then(
  (code) => void (process.exitCode = code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);

// Program: checks the kernels on this machine's card against the float64 reference, and times them.
//   self-check [--fixtures FOLDER] [--bench] [--tune PATTERN] [--large] [--only PATTERN] [--images FOLDER] [--json FILE]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChecks } from '@mamba-ts/scan/conformance';
import { CudaContext } from './driver/index';
import { kernelImage } from './kernel-images';
import type { Layout } from './layout';
import { CudaScan } from './scan';
import { type BenchRow, benchScan, benchShapes, printRow, tableHead } from './self-check/bench';
import { measureCeilings } from './self-check/ceilings';
import { contractChecks } from './self-check/contract';
import { DeviceScan } from './self-check/device-scan';
import { fixtureChecks } from './self-check/fixtures';
import { largeChecks } from './self-check/large';
import { tuneScan } from './self-check/tune';

const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const valueOf = (flag: string): string | undefined => (has(flag) ? args[args.indexOf(flag) + 1] : undefined);

/** Kernels compiled elsewhere, to compare: NAME.cubin or NAME.ptx of a folder, or else the package's own. */
async function imageIn(folder: string, module: Layout['module']): Promise<Uint8Array> {
  const file = ['cubin', 'ptx'].map((kind) => join(folder, `${module}.${kind}`)).find((path) => existsSync(path));
  return file === undefined ? kernelImage(module) : readFileSync(file);
}

async function main(): Promise<number> {
  const context = await CudaContext.open();
  const { name, computeCapability, multiprocessors, driverVersion } = context;
  console.log(`${name}, compute capability ${computeCapability.join('.')}, ${multiprocessors} multiprocessors, CUDA ${driverVersion}`);
  const images = valueOf('--images');
  const kernels = new CudaScan(context, images === undefined ? undefined : (module) => imageIn(images, module));
  let failed = 0;
  if (!has('--no-checks')) {
    const fixtures = valueOf('--fixtures');
    if (fixtures === undefined) console.log('left out: cases of a public implementation (no --fixtures FOLDER)');
    const only = new RegExp(valueOf('--only') ?? '');
    const checks = [
      ...contractChecks(context, kernels),
      ...(fixtures === undefined ? [] : fixtureChecks(fixtures, new DeviceScan(context))),
      ...(has('--large') ? largeChecks(context) : []),
    ];
    if (!has('--large')) console.log('left out: arrays beyond 2^31 elements (no --large)');
    failed = await runChecks(
      checks.filter((check) => only.test(check.name)),
      console.log,
    );
  }
  if (has('--tune')) {
    const wanted = valueOf('--shapes')?.split(',');
    const ways = new RegExp(valueOf('--tune') ?? '');
    for (const shape of benchShapes) {
      if (wanted === undefined || wanted.includes(`${shape.batch}x${shape.channels}x${shape.length}`)) await tuneScan(context, kernels, shape, ways, console.log);
    }
  }
  if (has('--bench')) {
    const rows: BenchRow[] = [];
    const stream = context.createStream();
    const ceilings = measureCeilings(context, stream);
    stream.destroy();
    const { bytesPerMs, exponentialsPerMs } = ceilings;
    console.log(`copies ${(bytesPerMs / 1e9).toFixed(2)} TB/s, ${(exponentialsPerMs / 1e9).toFixed(2)} T exponentials/s`);
    console.log(tableHead);
    for (const shape of benchShapes) {
      rows.push(await benchScan(context, kernels, shape, ceilings));
      console.log(printRow(rows[rows.length - 1]));
    }
    for (const { shape, plans } of rows) console.log(`${shape.batch}x${shape.channels}x${shape.length}: ${plans.join(' || ')}`);
    const machine = { name, computeCapability, multiprocessors, driverVersion, node: process.version };
    const file = valueOf('--json');
    if (file !== undefined) writeFileSync(file, `${JSON.stringify({ benchmark: 'selective scan, CUDA', machine, ceilings, rows }, null, 2)}\n`);
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

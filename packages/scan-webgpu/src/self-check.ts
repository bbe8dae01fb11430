// Program: checks the kernels on this machine's adapter against the float64 reference, and times them.
//   self-check [--fixtures FOLDER] [--bench] [--tune B,D,L …] [--ways PATTERN] [--shapes BxDxL,…] [--override JSON] [--only TEXT] [--shard I/N] [--no-checks] [--json FILE] [--card NAME]
import { writeFileSync } from 'node:fs';
import { type Check, runChecks } from '@mamba-ts/scan/conformance';
import { deviceLimits } from './limits';
import { WebGpuScan } from './scan';
import {
  type BenchOverride,
  type BenchRow,
  benchScan,
  benchShape,
  benchSizes,
  printRow,
  tableHead,
} from './self-check/bench';
import { contractChecks, gridChecks, wayCases } from './self-check/contract';
import { dawnGpu } from './self-check/dawn';
import { DeviceScan } from './self-check/device-scan';
import { fixtureChecks } from './self-check/fixtures';
import { openDevice } from './self-check/open';
import { tuneScan } from './self-check/tune';

const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const valueOf = (flag: string): string | undefined => (has(flag) ? args[args.indexOf(flag) + 1] : undefined);

function checksOf(device: GPUDevice, baseline: GPUDevice): Check[] {
  const kernels = new WebGpuScan(device);
  const limits = deviceLimits(device);
  const scan = (settings: ConstructorParameters<typeof DeviceScan>[1] = {}): DeviceScan =>
    new DeviceScan(device, settings, kernels);
  const plain = new DeviceScan(baseline);
  const checks = [
    ...contractChecks('WebGPU', scan()),
    ...gridChecks('baseline limits', plain),
    ...gridChecks('checkpoints', scan({ checkpoints: true })),
  ];
  const exchanges = limits.subgroupSize > 0 ? (['memory', 'subgroups'] as const) : (['memory'] as const);
  if (limits.subgroupSize > 0) {
    const cases = wayCases.filter(({ shape }) => Math.ceil(shape.dState / 4) <= limits.subgroupSize);
    for (const team of [2, 8]) {
      for (const [label, checkpoints] of [
        ['', false],
        [', checkpoints', true],
      ] as const)
        checks.push(...gridChecks(`teams of ${team}${label}`, scan({ override: { team }, checkpoints }), false, cases));
    }
  }
  for (const exchange of exchanges) {
    for (const coefficients of [
      'array',
      'memory',
      ...(exchange === 'subgroups' ? (['subgroups'] as const) : []),
    ] as const) {
      const cases = wayCases.filter(
        ({ shape }) => exchange === 'memory' || Math.ceil(shape.dState / 4) <= limits.subgroupSize,
      );
      const override = { exchange, coefficients, backwardExchange: exchange };
      checks.push(...gridChecks(`${exchange}, ${coefficients}`, scan({ override }), false, cases));
      checks.push(
        ...gridChecks(
          `${exchange}, ${coefficients}, 3 segments`,
          scan({ override: { ...override, segments: 3 } }),
          false,
          cases,
        ),
      );
    }
  }
  checks.push(...gridChecks('parts', scan({ override: { parts: 3 } }), false, wayCases));
  checks.push(...gridChecks('one buffer', scan({ oneBuffer: true }), false, wayCases));
  checks.push(...gridChecks('loops', scan({ limits: { software: !limits.software } }), false, wayCases));
  if (limits.f16) checks.push(...gridChecks('f16', scan({ dtype: 'f16' }), true));
  else console.log('left out: f16 (the adapter has no shader-f16)');
  const fixtures = valueOf('--fixtures');
  if (fixtures === undefined) console.log('left out: cases of a public implementation (no --fixtures FOLDER)');
  else checks.push(...fixtureChecks(fixtures, scan()));
  return checks;
}

async function main(): Promise<number> {
  const gpu = await dawnGpu();
  const { device, adapter } = await openDevice(gpu, 'all');
  const { device: baseline } = await openDevice(gpu, 'baseline');
  const { vendor, architecture, description } = adapter.info;
  const limits = deviceLimits(device);
  console.log(`${vendor} ${architecture} ${description}`, JSON.stringify(limits));
  let failed = 0;
  if (!has('--no-checks')) {
    const only = valueOf('--only') ?? '';
    const [shard, shards] = (valueOf('--shard') ?? '1/1').split('/').map(Number);
    const checks = checksOf(device, baseline).filter(
      ({ name }, index) => name.includes(only) && index % shards === shard - 1,
    );
    failed = await runChecks(checks, console.log, { atOnce: 8 }); // most of their time shaders compile
  }
  const kernels = new WebGpuScan(device);
  const tuned = args.flatMap((arg, index) =>
    args[index - 1] === '--tune' ? [arg.split(',').map(Number) as [number, number, number]] : [],
  );
  for (const sizes of tuned)
    await tuneScan(device, kernels, benchShape(sizes), new RegExp(valueOf('--ways') ?? ''), console.log);
  if (has('--bench')) {
    const rows: BenchRow[] = [];
    const shapes = valueOf('--shapes')?.split(',');
    const override = JSON.parse(valueOf('--override') ?? '{}') as BenchOverride;
    console.log(tableHead);
    for (const sizes of benchSizes) {
      const name = sizes.join('x');
      if (shapes !== undefined && !shapes.includes(name)) continue;
      try {
        const row = await benchScan(device, kernels, benchShape(sizes), override);
        rows.push(row);
        console.log(printRow(row));
      } catch (error) {
        console.log(`left out: ${name} (${error instanceof Error ? error.message : String(error)})`);
      }
    }
    for (const { shape, plans } of rows)
      console.log(`${shape.batch}x${shape.channels}x${shape.length}: ${plans.join(' || ')}`);
    const date = new Date().toISOString().slice(0, 10);
    // WebGPU does not tell the card's name
    const machine = {
      card: valueOf('--card') ?? 'card not named',
      date,
      adapter: [vendor, architecture, description].filter((part) => part !== '').join(' '),
      limits,
      node: process.version,
    };
    const file = valueOf('--json');
    if (file !== undefined)
      writeFileSync(file, `${JSON.stringify({ benchmark: 'selective scan, WebGPU', machine, rows }, null, 2)}\n`);
  }
  return failed === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);

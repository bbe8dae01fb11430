// Run on a machine with a GPU: node main.mjs OUT.json [grid] [bench] [tune] [small]. Prints tables, writes JSON.
import { writeFileSync } from 'node:fs';
import { type ScanShape } from '@mamba-ts/scan';
import { type DeviceCapabilities, type ScanPlanOptions, ScanGpuError, planScan } from '@mamba-ts/scan-webgpu';
import { openDevice } from '../test/device/gpu';
import { type GridResult, runGrid } from './grid';
import { Workspace, timeScan } from './timing';

/** The shapes: batch, channels, length. */
const shapes: readonly (readonly [batch: number, channels: number, length: number])[] = [
  [64, 1024, 512],
  [32, 1024, 1024],
  [16, 1024, 2048],
  [8, 1024, 4096],
  [4, 1024, 8192],
  [2, 1024, 16384],
  [1, 1024, 32768],
  [1, 1024, 131072],
  [1, 1024, 524288],
  [8, 2048, 2048],
  [1, 1536, 2048],
  [1, 1536, 256],
];

/** Rates of an H200, as measured: bytes and base-2 exponentials per second. */
const rates = { bytes: 4.3e12, exponentials: 4.08e12 };

const [out = 'scan-webgpu.json', ...tasks] = process.argv.slice(2);
const device = await openDevice({ best: true });
const { limits } = device;
const info = { vendor: device.adapterInfo.vendor, device: device.adapterInfo.description, architecture: device.adapterInfo.architecture };
const names = ['maxStorageBuffersPerShaderStage', 'maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeWorkgroupStorageSize'] as const;
const report: Record<string, unknown> = {
  date: new Date().toISOString(),
  adapter: info,
  node: process.version,
  features: [...device.features],
  limits: Object.fromEntries(names.map((name) => [name, limits[name]])),
};
console.log(JSON.stringify(report));
device.addEventListener('uncapturederror', (event) => console.log(`device error: ${event.error.message.slice(0, 500)}`));
const save = (): void => writeFileSync(out, `${JSON.stringify(report, undefined, 2)}\n`);

/** Baseline limits on this device. */
const baseline: DeviceCapabilities = {
  features: { has: () => false },
  limits: {
    maxStorageBuffersPerShaderStage: 8,
    maxStorageBufferBindingSize: 2 ** 27,
    maxBufferSize: 2 ** 28,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    minStorageBufferOffsetAlignment: 256,
  },
};

const grids: Record<string, () => Promise<GridResult>> = {
  grid: () => runGrid('as planned', device),
  'grid-baseline': () => runGrid('baseline limits', device, {}, {}, baseline),
  'grid-chunks': () => runGrid('short chunks', device, { chunkLength: 16, tiling: { tile: 4, reduceSteps: 2, channelBlock: 8 } }),
  'grid-half': () => runGrid('float16', device, { storage: 'float16' }, { tolerance: { forward: 2e-3, backward: 4e-3 } }),
};
const chosen = Object.keys(grids).filter((name) => tasks.includes(name));
if (chosen.length > 0) {
  const runs: GridResult[] = [];
  for (const name of chosen) runs.push(await grids[name]());
  for (const { name, passed, failed, skipped, seconds } of runs) {
    console.log(`grid, ${name}: ${passed} passed, ${failed.length} failed, ${skipped} left out, ${seconds.toFixed(1)} s`);
    for (const line of failed.slice(0, 12)) console.log(`  ${line.slice(0, 300)}`);
  }
  report.grid = runs;
  save();
}

function problem(batch: number, channels: number, length: number): ScanShape {
  const divided = tasks.includes('small') ? 16 : 1;
  const sizes = { batch, channels: Math.ceil(channels / divided), length: Math.ceil(length / divided / divided) };
  return { ...sizes, dState: 16, groups: 1, complex: false, variableB: true, variableC: true };
}

const parts = { D: true, z: true, deltaBias: true, deltaSoftplus: true } as const;
const forward: ScanPlanOptions = { operation: 'forward', ...parts };
const backward: ScanPlanOptions = { operation: 'backward', ...parts };

/** Least bytes (float32) and exponentials of an operation, in milliseconds at the rates above. */
function floors({ batch, length, channels, dState }: ScanShape, both: boolean): { bytes: number; exponentials: number } {
  const rows = batch * length;
  const moved = 4 * rows * (channels * (both ? 11 : 4) + dState * (both ? 6 : 2));
  const exponentials = rows * channels * dState * (both ? 2 : 1);
  return { bytes: (moved / rates.bytes) * 1e3, exponentials: (exponentials / rates.exponentials) * 1e3 };
}

if (tasks.includes('bench')) {
  const results: object[] = [];
  console.log('B x D x L, ms: forward, forward + backward (lowest-highest; fraction of byte and exponential floors)');
  for (const [batch, channels, length] of shapes) {
    const shape = problem(batch, channels, length);
    const workspace = new Workspace(device);
    const entry: Record<string, unknown> = { batch, channels, length, dState: 16, storage: 'float32' };
    const line = [`${batch}x${channels}x${length}`];
    try {
      for (const operations of [[forward], [forward, backward]]) {
        const timing = await timeScan(workspace, shape, operations, length > 100000 ? 7 : 15);
        const floor = floors(shape, operations.length > 1);
        const fractions = { bytes: floor.bytes / timing.median, exponentials: floor.exponentials / timing.median };
        entry[operations.length > 1 ? 'forwardBackward' : 'forward'] = { ...timing, floors: floor, fractions };
        const percent = (x: number): string => `${Math.round(100 * x)}%`;
        line.push(
          `${timing.median.toFixed(4)} (${timing.lowest.toFixed(4)}-${timing.highest.toFixed(4)}; ${percent(fractions.bytes)}, ${percent(fractions.exponentials)})`,
        );
      }
    } catch (error) {
      if (!(error instanceof ScanGpuError)) throw error;
      entry.leftOut = error.message;
      line.push(`left out: ${error.message}`);
    }
    workspace.destroy();
    results.push(entry);
    console.log(line.join('  '));
  }
  report.bench = results;
  save();
}

if (tasks.includes('profile')) {
  const results: object[] = [];
  for (const [batch, channels, length] of shapes.filter(([, , steps]) => steps <= 131072)) {
    const shape = problem(batch, channels, length);
    const workspace = new Workspace(device);
    for (const options of [forward, backward]) {
      const { kernels } = planScan(device, shape, options);
      for (const [index, { label }] of kernels.entries()) {
        const { median, lowest } = await timeScan(workspace, shape, [options], 5, index);
        results.push({ shape, operation: options.operation, label, median, lowest });
        console.log(`${batch}x${channels}x${length} ${options.operation}, ${label}: ${median.toFixed(4)}`);
      }
    }
    workspace.destroy();
  }
  report.profile = results;
  save();
}

/** Comma-separated lists to try: `tune forward vectors=1,2 tile=8,16 shapes=2,10`. */
if (tasks.includes('tune')) {
  const listOf = (name: string): number[] => {
    const text = tasks.find((task) => task.startsWith(`${name}=`));
    return text === undefined ? [] : text.slice(name.length + 1).split(',').map(Number);
  };
  const results: object[] = [];
  const knobs = ['vectors', 'channelBlock', 'tile', 'reduceSteps', 'chunkLength', 'parallelism'] as const;
  const operation = tasks.includes('backward') ? backward : forward;
  for (const index of listOf('shapes')) {
    const shape = problem(...shapes[index]);
    const workspace = new Workspace(device);
    let settings: Record<string, number>[] = [{}];
    for (const knob of knobs) {
      const values = listOf(knob);
      if (values.length > 0) settings = settings.flatMap((known) => values.map((value) => ({ ...known, [knob]: value })));
    }
    for (const { chunkLength, parallelism, ...tiling } of settings) {
      const options = { ...operation, tiling, ...(chunkLength && { chunkLength }), ...(parallelism && { parallelism }) };
      const label = `${operation.operation} ${shapes[index].join('x')} ${JSON.stringify({ ...tiling, chunkLength, parallelism })}`;
      try {
        const { median, lowest } = await timeScan(workspace, shape, [options], 5);
        results.push({ label, median, lowest });
        console.log(`${label}: ${median.toFixed(4)}`);
      } catch (error) {
        console.log(`${label}: ${String(error).slice(0, 200)}`);
      }
    }
    workspace.destroy();
  }
  report[`tune ${operation.operation}`] = results;
  save();
}
save();
console.log(`written: ${out}`);

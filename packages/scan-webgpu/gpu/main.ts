// Run on a machine with a GPU: node main.mjs OUT.json [grid] [bench] [tune] [small]. Prints tables, writes JSON.
import { writeFileSync } from 'node:fs';
import { type ScanShape } from '@mamba-ts/scan';
import { type DeviceCapabilities, type ScanPlanOptions, ScanGpuError } from '@mamba-ts/scan-webgpu';
import { openDevice } from '../test/device/gpu';
import { runGrid } from './grid';
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

if (tasks.includes('grid')) {
  const half = { forward: 2e-3, backward: 4e-3 };
  const runs = [
    await runGrid('as planned', device),
    await runGrid('baseline limits', device, {}, {}, baseline),
    await runGrid('short chunks', device, { chunkLength: 16, tiling: { tile: 4, reduceSteps: 2, channelBlock: 8 } }),
    ...(device.features.has('shader-f16')
      ? [await runGrid('float16 storage', device, { storage: 'float16' }, { tolerance: half })]
      : []),
  ];
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

if (tasks.includes('tune')) {
  const results: object[] = [];
  const tried = async (shape: ScanShape, workspace: Workspace, options: ScanPlanOptions): Promise<void> => {
    const label = JSON.stringify({ ...options.tiling, chunkLength: options.chunkLength, parallelism: options.parallelism });
    try {
      const { median, lowest } = await timeScan(workspace, shape, [options], 5);
      results.push({ shape, operation: options.operation, label, median, lowest });
      console.log(`${options.operation} ${shape.batch}x${shape.channels}x${shape.length} ${label}: ${median.toFixed(4)}`);
    } catch (error) {
      console.log(`${label}: ${String(error).slice(0, 200)}`);
    }
  };
  for (const [batch, channels, length] of [[16, 1024, 2048], [1, 1536, 2048], [1, 1024, 32768]] as const) {
    const shape = problem(batch, channels, length);
    const workspace = new Workspace(device);
    for (const vectors of [1, 2, 4]) {
      for (const [channelBlock, tile] of [[32, 16], [32, 8], [64, 8], [16, 16], [64, 16]] as const) {
        await tried(shape, workspace, { ...forward, tiling: { vectors, channelBlock, tile } });
      }
    }
    for (const parallelism of [32768, 65536, 131072, 262144]) await tried(shape, workspace, { ...forward, parallelism });
    for (const vectors of [1, 2]) {
      for (const [channelBlock, tile, reduceSteps] of [[16, 8, 4], [16, 8, 8], [16, 4, 4], [32, 8, 4], [32, 4, 4], [8, 8, 8], [16, 16, 4]] as const) {
        await tried(shape, workspace, { ...backward, tiling: { vectors, channelBlock, tile, reduceSteps } });
      }
    }
    for (const chunkLength of [16, 32, 128]) await tried(shape, workspace, { ...backward, chunkLength });
    workspace.destroy();
  }
  report.tune = results;
  save();
}
save();
console.log(`written: ${out}`);

import { parseArgs } from 'node:util';
import { type Command, UsageError } from '../command';
import { describeMachine } from '../machine';
import { writeResult } from '../result-file';
import type { Measurement } from '../results';
import { openCpuScan } from '../scan/cpu';
import { openCudaScan } from '../scan/cuda';
import type { ScanBenchDevice } from '../scan/device';
import { openWebGpuScan } from '../scan/webgpu';

const devices: Readonly<Record<string, () => Promise<ScanBenchDevice>>> = { cpu: openCpuScan, cuda: openCudaScan, webgpu: openWebGpuScan };

export const scanCommand: Command = {
  name: 'scan',
  summary: 'the selective scan alone on one device: forward, forward + backward, beside the floor',
  usage: `Usage: pnpm bench scan --device ${Object.keys(devices).join('|')} [options]

  --filter TEXT    only sizes (BxDxL, e.g. 16x1024x2048) that contain TEXT
  --out FILE       where the JSON goes (default: bench-scan-DEVICE.json in the current folder)`,

  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: { device: { type: 'string', default: '' }, filter: { type: 'string', default: '' }, out: { type: 'string' } },
    });
    const open = Object.hasOwn(devices, values.device) ? devices[values.device] : undefined;
    if (open === undefined) throw new UsageError(`--device is '${values.device}', expected one of ${Object.keys(devices).join(', ')}`);
    const device = await open();
    const sizes = device.sizes.filter((size) => size.includes(values.filter));
    if (sizes.length === 0) throw new UsageError(`no size contains '${values.filter}': ${device.sizes.join(', ')}`);
    const measurements: Measurement[] = [];
    for (const size of sizes) {
      try {
        measurements.push(...(await device.measure(size)));
        process.stderr.write(`  ${size}: ${measurements.slice(-2).map(({ timing }) => `${timing.median.toFixed(3)} ms`).join(', ')}\n`);
      } catch (error) {
        // a size that the device refuses is named, and the others go on
        process.stderr.write(`  left out: ${size} (${error instanceof Error ? error.message : String(error)})\n`);
      }
    }
    device.close?.();
    writeResult(values.out ?? `bench-scan-${values.device}.json`, {
      benchmark: `scan-${values.device}`,
      command: ['pnpm bench scan', `--device ${values.device}`, values.filter && `--filter ${values.filter}`].filter(Boolean).join(' '),
      date: new Date().toISOString(),
      device: device.description,
      ...describeMachine(),
      measurements,
    });
    return measurements.length > 0 ? 0 : 1;
  },
};

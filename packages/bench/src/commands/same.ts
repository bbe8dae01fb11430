import { parseArgs } from 'node:util';
import { type DeviceName, deviceNames, isDeviceName, openDevice } from '@mamba-ts/devices';
import { plainRunner } from '@mamba-ts/tensor/conformance';
import { type Command, UsageError } from '../command';
import { testSameRun } from '../same/suite';

export const sameCommand: Command = {
  name: 'same',
  summary: 'the same training run on several devices against the float64 reference',
  usage: `Usage: pnpm bench same [--device NAME …]

  --device NAME    ${deviceNames.join(', ')}; several times for several (default: cpu)`,

  async run(args) {
    const { values } = parseArgs({ args: [...args], options: { device: { type: 'string', multiple: true, default: ['cpu'] } } });
    const names = values.device.map((name): DeviceName => {
      if (!isDeviceName(name)) throw new UsageError(`--device is '${name}', expected one of ${deviceNames.join(', ')}`);
      return name;
    });
    const { runner, run } = plainRunner();
    testSameRun(
      runner,
      names.map((name) => ({
        name,
        open: async () => {
          const device = await openDevice(name);
          console.log(`${name}: ${device.backend.description}`);
          return device;
        },
        longRun: name !== 'reference',
      })),
    );
    const { passed, failed } = await run({ log: console.log });
    console.log(`${passed} passed, ${failed.length} failed`);
    return failed.length === 0 ? 0 : 1;
  },
};

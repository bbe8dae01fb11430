import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { deviceNames, isDeviceName, openDevice } from '@mamba-ts/devices';
import { setDefaultDevice } from '@mamba-ts/tensor';
import { type Command, integerOption, UsageError } from '../command';
import { describeMachine } from '../machine';
import { runModelSuite } from '../model/suite';
import { writeResult } from '../result-file';
import { meetsBar } from '../results';

/** What finishes in reasonable time: the CPU backends get the small models only. */
const most = { cpu: { teraflop: 0.1, memoryGiB: 4 }, reference: { teraflop: 0.001, memoryGiB: 1 }, gpu: { teraflop: 1e3, memoryGiB: 120 } } as const;

export const modelCommand: Command = {
  name: 'model',
  summary: 'whole models on a device: decoding, training steps, prefill',
  usage: `Usage: pnpm bench model [options]

  --device NAME    ${deviceNames.join(', ')} (default: cuda)
  --filter TEXT    only benchmarks whose name contains TEXT
  --budget MS      time for each figure (default: 2000)
  --profile DIR    also writes what ran, step by step, into DIR
  --out FILE       where the JSON goes (default: bench-model-NAME.json in the current folder)
  --check          exit with 1 if a bar is missed`,

  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        device: { type: 'string', default: 'cuda' },
        filter: { type: 'string', default: '' },
        budget: { type: 'string', default: '2000' },
        profile: { type: 'string' },
        out: { type: 'string' },
        check: { type: 'boolean', default: false },
      },
    });
    const { device: name, filter, profile } = values;
    if (!isDeviceName(name)) throw new UsageError(`--device is '${name}', expected one of ${deviceNames.join(', ')}`);
    const budget = integerOption('budget', values.budget, 1);
    const device = await openDevice(name);
    setDefaultDevice(device);
    const measurements = await runModelSuite(device, {
      filter,
      budget,
      profile: profile !== undefined && name !== 'cpu' && name !== 'reference',
      most: name === 'cpu' || name === 'reference' ? most[name] : most.gpu,
      onResult: ({ measurement, report }) => {
        process.stderr.write(`  ${measurement.name}: ${measurement.timing.median.toFixed(3)} ms (${measurement.note})\n`);
        if (profile === undefined) return;
        mkdirSync(profile, { recursive: true });
        writeFileSync(path.join(profile, `${measurement.name.replaceAll(/[^\w.]+/g, '-')}.txt`), `${report.toString()}\n`);
      },
      onLeftOut: (left, why) => process.stderr.write(`  ${left}: left out (${why})\n`),
    });
    const { description } = device.backend;
    device.dispose();
    if (measurements.length === 0) throw new UsageError(`no benchmark that this device runs has '${filter}' in its name`);
    writeResult(values.out ?? `bench-model-${name}.json`, {
      benchmark: `model-${name}`,
      command: [`pnpm bench model --device ${name}`, filter && `--filter '${filter}'`].filter(Boolean).join(' '),
      date: new Date().toISOString(),
      device: description,
      ...describeMachine(),
      measurements,
    });
    return values.check && measurements.some((m) => meetsBar(m) === false) ? 1 : 0;
  },
};

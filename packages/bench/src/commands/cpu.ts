import os from 'node:os';
import { parseArgs } from 'node:util';
import { type Command, integerOption, UsageError } from '../command';
import { runCpuSuite } from '../cpu/suite';
import { describeMachine } from '../machine';
import { writeResult } from '../result-file';
import { meetsBar } from '../results';

const cores = os.availableParallelism();

export const cpuCommand: Command = {
  name: 'cpu',
  summary: 'the CPU backend: products, the scan, a training step',
  usage: `Usage: pnpm bench cpu [options]

  --filter TEXT    only benchmarks whose name contains TEXT
  --threads N      compare one thread with N (default: all cores, here ${cores})
  --out FILE       where the JSON goes (default: bench-cpu.json in the current folder)
  --check          exit with 1 if a bar is missed`,

  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        filter: { type: 'string', default: '' },
        threads: { type: 'string', default: String(cores) },
        out: { type: 'string', default: 'bench-cpu.json' },
        check: { type: 'boolean', default: false },
      },
    });
    const { filter } = values;
    const threads = integerOption('threads', values.threads, 1);
    const { device, measurements } = await runCpuSuite(filter, threads, (m) => {
      const unit = m.threads > 1 ? 'threads' : 'thread';
      process.stderr.write(`  ${m.name}, ${m.threads} ${unit}: ${m.timing.median.toFixed(2)} ms\n`);
    });
    if (measurements.length === 0) throw new UsageError(`no benchmark's name contains '${filter}'`);
    const options = [filter && `--filter ${filter}`, threads !== cores && `--threads ${threads}`];
    writeResult(values.out, {
      benchmark: 'cpu',
      command: ['pnpm bench cpu', ...options].filter(Boolean).join(' '),
      date: new Date().toISOString(),
      device,
      ...describeMachine(),
      measurements,
    });
    return values.check && measurements.some((m) => meetsBar(m) === false) ? 1 : 0;
  },
};

#!/usr/bin/env node
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runCpuSuite } from './cpu/suite';
import { describeMachine } from './machine';
import { type BenchmarkResult, formatMarkdown, formatTable, meetsBar, tableRows } from './results';

const usage = `Usage: pnpm bench cpu [options]          measure the CPU backend
       pnpm bench table FILE.json…        print results as Markdown; with --into FILE.md, write them between its
                                          <!-- bench:NAME --> and <!-- /bench --> lines

Options of cpu:
  --filter TEXT    only benchmarks whose name contains TEXT
  --threads N      compare one thread with N (default: all cores, here ${os.availableParallelism()})
  --out FILE       where the JSON goes (default: bench-cpu.json in the current folder)
  --check          exit with 1 if a bar is missed`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      filter: { type: 'string', default: '' },
      threads: { type: 'string', default: String(os.availableParallelism()) },
      out: { type: 'string', default: 'bench-cpu.json' },
      into: { type: 'string' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [command, ...files] = positionals;
  if (values.help || command === undefined) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  if (command === 'table') return printTables(files, values.into);
  if (command !== 'cpu') {
    console.error(`bench: device is '${command}', expected cpu (webgpu and cuda come with their backend packages)\n\n${usage}`);
    return 2;
  }
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1) {
    console.error(`bench: --threads is '${values.threads}', expected an integer >= 1`);
    return 2;
  }
  return measureCpu(values.filter, threads, values.out, values.check);
}

async function measureCpu(filter: string, threads: number, out: string, check: boolean): Promise<number> {
  const { device, measurements } = await runCpuSuite(filter, threads, (m) => {
    process.stderr.write(`  ${m.name}, ${m.threads} thread${m.threads > 1 ? 's' : ''}: ${m.timing.median.toFixed(2)} ms\n`);
  });
  if (measurements.length === 0) {
    console.error(`bench: no benchmark's name contains '${filter}'`);
    return 2;
  }
  const result: BenchmarkResult = {
    benchmark: 'cpu',
    command: ['pnpm bench cpu', filter && `--filter ${filter}`, threads !== os.availableParallelism() && `--threads ${threads}`].filter(Boolean).join(' '),
    date: new Date().toISOString(),
    device,
    ...describeMachine(),
    measurements,
  };
  mkdirSync(path.dirname(path.resolve(out)), { recursive: true });
  writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\n${formatTable(tableRows(result))}\n\n${out}`);
  return check && measurements.some((m) => meetsBar(m) === false) ? 1 : 0;
}

function printTables(files: readonly string[], into: string | undefined): number {
  if (files.length === 0) {
    console.error(`bench: table needs at least one result file\n\n${usage}`);
    return 2;
  }
  for (const file of files) {
    const result = JSON.parse(readFileSync(file, 'utf8')) as BenchmarkResult;
    const table = formatMarkdown(result);
    if (into === undefined) {
      console.log(table);
      continue;
    }
    const text = readFileSync(into, 'utf8');
    const region = new RegExp(`(<!-- bench:${result.benchmark} -->\\n)[\\s\\S]*?(<!-- /bench -->)`);
    if (!region.test(text)) {
      console.error(`bench: ${into} has no <!-- bench:${result.benchmark} --> region`);
      return 1;
    }
    writeFileSync(into, text.replace(region, (_, start: string, end: string) => `${start}${table}\n${end}`));
  }
  return 0;
}

void main().then((code) => {
  process.exitCode = code;
});

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Command, UsageError } from '../command';
import { type BenchmarkResult, formatMarkdown } from '../results';

export const tableCommand: Command = {
  name: 'table',
  summary: 'prints results as Markdown, or writes them into a file',
  usage: `Usage: pnpm bench table FILE.json… [--into FILE.md]

  --into FILE.md   write the tables between the file's <!-- bench:NAME --> and <!-- /bench --> lines`,

  async run(args) {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { into: { type: 'string' } } });
    if (positionals.length === 0) throw new UsageError('table needs at least one result file');
    for (const file of positionals) {
      const result = JSON.parse(readFileSync(file, 'utf8')) as BenchmarkResult;
      const table = formatMarkdown(result);
      if (values.into === undefined) console.log(table);
      else if (!writeTable(values.into, result.benchmark, table)) {
        console.error(`bench: ${values.into} has no <!-- bench:${result.benchmark} --> region`);
        return 1;
      }
    }
    return 0;
  },
};

/** Replaces what stands in the region of this name; false if the file has none. */
function writeTable(file: string, name: string, table: string): boolean {
  const text = readFileSync(file, 'utf8');
  const region = new RegExp(`(<!-- bench:${name} -->\\n)[\\s\\S]*?(<!-- /bench -->)`);
  if (!region.test(text)) return false;
  writeFileSync(file, text.replace(region, (_, start: string, end: string) => `${start}${table}\n${end}`));
  return true;
}

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type BenchmarkResult, formatTable, tableRows } from './results';

/** Writes the result as JSON, and shows its table and where the file is. */
export function writeResult(file: string, result: BenchmarkResult): void {
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\n${formatTable(tableRows(result))}\n\n${file}`);
}

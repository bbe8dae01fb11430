import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { checkFolder, type Row } from './check-folder';
import { isMiss, type Result } from './family';

const USAGE = `usage: parity FOLDER [--data DIR]

Checks every family of fixtures in FOLDER against the packages.
--data DIR   where the texts and tokenizers are that fixtures refer to; default: FOLDER/../data`;

/** The longest family name. */
const FAMILY_WIDTH = 22;

/** Runs the program; `print` gets one line at a time. @returns the exit code: 0 passed, 1 missed, 2 wrong usage. */
export async function runParity(args: readonly string[], print: (line: string) => void): Promise<number> {
  let folder: string | undefined;
  let data: string | undefined;
  try {
    const parsed = parseArgs({ args: [...args], options: { data: { type: 'string' } }, allowPositionals: true });
    data = parsed.values.data;
    folder = parsed.positionals[0];
    if (folder === undefined || parsed.positionals.length > 1) throw new Error('expected one FOLDER');
  } catch (error) {
    print(`parity: ${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const dataFolder = resolve(data ?? join(folder, '..', 'data'));
  const rows: Row[] = [];
  print(HEADING);
  try {
    for await (const row of checkFolder(resolve(folder), { dataFolder })) {
      rows.push(row);
      print(formatRow(row));
    }
  } catch (error) {
    print(`parity: ${(error as Error).message}`);
    return 2;
  }
  for (const line of summary(rows)) print(line);
  return rows.some(({ result }) => isMiss(result)) || !rows.some(({ result }) => result.status === 'compared') ? 1 : 0;
}

const HEADING = formatColumns(['family', 'case', 'quantity', 'error', 'tolerance'], 'verdict');

function formatRow({ family, result }: Row): string {
  const [quantity, error, tolerance] =
    result.status === 'compared'
      ? [result.quantity, formatNumber(result.error), formatNumber(result.tolerance)]
      : ['', '', ''];
  return formatColumns([family, result.caseName, quantity, error, tolerance], verdict(result));
}

function formatColumns([family, name, quantity, error, tolerance]: readonly string[], last: string): string {
  const left = [family!.padEnd(FAMILY_WIDTH), name!.padEnd(34), quantity!.padEnd(34)];
  return [...left, error!.padStart(9), tolerance!.padStart(9)].join(' ').concat('  ', last);
}

function verdict(result: Result): string {
  if (result.status === 'not yet covered') return 'not yet covered';
  if (result.status === 'unusable') return `MISS: ${result.problem}`;
  return isMiss(result) ? 'MISS' : 'pass';
}

function formatNumber(value: number): string {
  return Number.isInteger(value) || !Number.isFinite(value) ? String(value) : value.toExponential(1);
}

function summary(rows: readonly Row[]): string[] {
  const lines = ['', `${'family'.padEnd(FAMILY_WIDTH)} compared  missed  not yet covered  largest error / tolerance`];
  for (const family of new Set(rows.map((row) => row.family))) {
    const results = rows.filter((row) => row.family === family).map((row) => row.result);
    const counts = [
      results.filter(({ status }) => status === 'compared').length,
      results.filter(isMiss).length,
      results.filter(({ status }) => status === 'not yet covered').length,
    ];
    lines.push(
      `${family.padEnd(FAMILY_WIDTH)} ${String(counts[0]).padStart(8)} ${String(counts[1]).padStart(7)} ` +
        `${String(counts[2]).padStart(16)}  ${worst(results)}`,
    );
  }
  const waiting = rows.filter(({ result }) => result.status === 'not yet covered');
  if (waiting.length > 0) {
    lines.push('', 'Not yet covered:');
    for (const family of new Set(waiting.map((row) => row.family))) {
      const names = waiting.filter((row) => row.family === family).map(({ result }) => result.caseName);
      lines.push(`  ${family}: ${names.join(', ')}`);
    }
  }
  const missed = rows.filter(({ result }) => isMiss(result));
  if (missed.length > 0) lines.push('', 'Missed:', ...missed.map((row) => formatRow(row)));
  const compared = rows.filter(({ result }) => result.status === 'compared');
  const passed = compared.length - compared.filter(({ result }) => isMiss(result)).length;
  if (compared.length === 0) lines.push('', 'Nothing was compared, which is a failure.');
  lines.push('', `parity: ${passed} passed, ${missed.length} missed, ${waiting.length} not yet covered`);
  return lines;
}

/** The comparison that came closest to its bound; of those that must be exact, only a miss is told. */
function worst(results: readonly Result[]): string {
  let most = 0;
  let text = '';
  for (const result of results) {
    if (result.status !== 'compared' || result.error === 0) continue;
    const share = result.error / result.tolerance;
    if (share <= most) continue;
    most = share;
    const numbers = `${formatNumber(result.error)} / ${formatNumber(result.tolerance)}`;
    text = `${numbers}  (${result.caseName} ${result.quantity})`;
  }
  return text;
}

// Reads what the test runs of all packages left in test-results/, and prints it as one report.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { manifest, packageFolders, root } from './workspace.mjs';

const testedFolders = () => packageFolders().filter((folder) => manifest(folder).scripts?.test !== undefined);

/** Removes results of earlier runs, so that what is read later is of this run or restored from its cache. */
export function clearResults() {
  for (const folder of testedFolders()) rmSync(join(root, folder, 'test-results'), { recursive: true, force: true });
}

const nameOf = (test) => [...test.ancestorTitles, test.title].join(' > ');

/** One package: counts, the names of what failed and of what was skipped. */
function readPackage(folder) {
  const result = { folder, passed: 0, failed: [], skipped: [], files: 0, missing: false };
  const results = join(root, folder, 'test-results');
  const reports = existsSync(results) ? readdirSync(results).filter((name) => name.endsWith('.json')) : [];
  result.missing = reports.length === 0;
  for (const report of reports) {
    for (const file of JSON.parse(readFileSync(join(results, report), 'utf8')).testResults) {
      // Restored results name the folder they were made in; the part from the package on is what matters.
      const path = relative(join(root, folder), file.name).replace(/^(\.\.\/)+.*?(?=test\/)/, '');
      result.files++;
      const before = result.failed.length;
      for (const test of file.assertionResults) {
        const name = `${path} > ${nameOf(test)}`;
        if (test.status === 'passed') result.passed++;
        else if (test.status === 'failed') result.failed.push(name);
        else result.skipped.push(name);
      }
      const failedOutsideTests = file.status === 'failed' && result.failed.length === before;
      if (failedOutsideTests) result.failed.push(`${path} (${(file.message || 'failed').split('\n')[0]})`);
    }
  }
  return result;
}

export function readResults() {
  return testedFolders().map(readPackage);
}

function printTable(results) {
  const rows = results.map((result) =>
    result.missing
      ? [result.folder, '-', '-', '-', '-']
      : [result.folder, result.files, result.passed, result.failed.length, result.skipped.length].map(String),
  );
  const table = [['package', 'files', 'passed', 'failed', 'skipped'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table) {
    const [first, ...rest] = row;
    console.log([first.padEnd(widths[0]), ...rest.map((cell, i) => cell.padStart(widths[i + 1]))].join('  '));
  }
}

function printNames(title, results, select) {
  const named = results.filter((result) => select(result).length > 0);
  if (named.length === 0) return;
  console.log(`\n${title}`);
  for (const result of named) for (const name of select(result)) console.log(`  ${result.folder}: ${name}`);
}

/** Prints the report without its closing line; returns the totals. */
export function printResults(results) {
  console.log('');
  printTable(results);
  printNames('Skipped, and so not shown to work:', results, (result) => result.skipped);
  printNames('Failed:', results, (result) => result.failed);
  const missing = results.filter((result) => result.missing);
  if (missing.length > 0) {
    console.log('\nNo test results (not run, or crashed):');
    for (const { folder } of missing) console.log(`  ${folder}`);
  }
  const sum = (count) => results.reduce((total, result) => total + count(result), 0);
  return {
    passed: sum((result) => result.passed),
    failed: sum((result) => result.failed.length),
    skipped: sum((result) => result.skipped.length),
    missing: missing.length,
  };
}

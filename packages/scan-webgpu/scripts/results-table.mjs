// Writes the table of results/h200.json into the README.
//   node scripts/results-table.mjs [--check]     --check: exit with 1 where the README has another table
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const { machine, rows } = JSON.parse(readFileSync(path('../results/h200.json'), 'utf8'));

const sizes = ({ batch, channels, length }) => `${batch} × ${channels} × ${length.toLocaleString('en')}`;
const ms = (time) => `${time.median.toFixed(3)} ±${((100 * (time.high - time.low)) / 2 / time.median).toFixed(0)} %`;
const percent = (floors, time) => `${((100 * Math.max(floors.bytes, floors.exponentials)) / time.median).toFixed(0)} %`;

const head = ['B × D × L', 'forward ms', 'of floor', 'forward + backward ms', 'of floor'];
const lines = rows.map((row) => [
  sizes(row.shape),
  ...[ms(row.forward), percent(row.floors.forward, row.forward), ms(row.both), percent(row.floors.both, row.both)],
]);
const table = [
  `| ${head.join(' | ')} |`,
  `| --- |${' ---: |'.repeat(head.length - 1)}`,
  ...lines.map((line) => `| ${line.join(' | ')} |`),
  '',
  `Measured by \`self-check --bench\` on ${machine.date}: ${machine.card}, ${machine.adapter}, Dawn in Node ${machine.node}, timestamp queries.`,
].join('\n');

const readme = path('../README.md');
const before = readFileSync(readme, 'utf8');
const after = before.replace(
  /(<!-- results -->\n)[\s\S]*?(<!-- \/results -->)/,
  (_, start, end) => `${start}${table}\n${end}`,
);
// formatters pad tables and put blank lines around them
const plain = (text) => text.replace(/ +/g, ' ').replace(/-+/g, '-').replace(/\n+/g, '\n');
if (plain(after) === plain(before)) console.log('README: the table is up to date');
else if (process.argv.includes('--check')) {
  console.error('README: the table is not that of results/h200.json: run node scripts/results-table.mjs');
  process.exitCode = 1;
} else writeFileSync(readme, after);

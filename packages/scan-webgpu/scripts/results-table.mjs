// Writes the table of results/h200.json into the README, beside the times of @mamba-ts/scan-cuda that `bench scan --device
// cuda` took in the same call (results/h200-cuda.json).
//   node scripts/results-table.mjs [--check]     --check: exit with 1 where the README has another table
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const read = (name) => JSON.parse(readFileSync(path(name), 'utf8'));
const { machine, rows } = read('../results/h200.json');
const cuda = read('../results/h200-cuda.json');
if (!cuda.date.startsWith(machine.date) || !cuda.device.includes(machine.card))
  throw new Error('results/h200.json and results/h200-cuda.json are not of the same card and day');

const sizes = ({ batch, channels, length }) => `${batch} × ${channels} × ${length.toLocaleString('en')}`;
const ms = (time) => `${time.median.toFixed(3)} ±${((100 * (time.high - time.low)) / 2 / time.median).toFixed(0)} %`;
const percent = (floors, time) => `${((100 * Math.max(floors.bytes, floors.exponentials)) / time.median).toFixed(0)} %`;

/** Time of the CUDA kernels in ms, and how many times as long it takes here. */
const besideCuda = (which, { batch, channels, length }, { median }) => {
  const name = `scan ${which} ${batch}x${channels}x${length}, N 16, float32`;
  const other = cuda.measurements.find((measurement) => measurement.name === name);
  if (other === undefined) throw new Error(`results/h200-cuda.json has no ${name}`);
  return [other.timing.median.toFixed(3), `${(median / other.timing.median).toFixed(2)} ×`];
};

const time = (which) => [which, 'of floor', 'CUDA ms', 'takes'];
const head = ['B × D × L', ...time('forward ms'), ...time('forward + backward ms')];
const lines = rows.map(({ shape, forward, both, floors }) => [
  sizes(shape),
  ...[ms(forward), percent(floors.forward, forward), ...besideCuda('forward', shape, forward)],
  ...[ms(both), percent(floors.both, both), ...besideCuda('forward and backward', shape, both)],
]);
const table = [
  `| ${head.join(' | ')} |`,
  `| --- |${' ---: |'.repeat(head.length - 1)}`,
  ...lines.map((line) => `| ${line.join(' | ')} |`),
  '',
  `Measured by \`self-check --bench\` on ${machine.date}: ${machine.card}, ${machine.adapter}, Dawn in Node ${machine.node}, timestamp queries. CUDA: \`${cuda.command}\` in the same call.`,
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

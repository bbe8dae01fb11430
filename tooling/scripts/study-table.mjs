// Writes the README's ablation section from the JSON report of a run: node tooling/scripts/study-table.mjs apps/ablation/results/report.json
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('study-table: give the report.json of a run of `npm start`');
const report = JSON.parse(readFileSync(file, 'utf8'));
const percent = (x) => `${(100 * x).toFixed(1)} %`;
const lines = [];
for (const part of report.parts) {
  lines.push(`**${part.title}** (${part.scale}${part.paperScale ? `; the paper: ${part.paperScale}` : ''}). ${part.finding}`, '');
  const isText = part.rows[0].bitsPerByte !== null;
  lines.push(isText ? '| | parameters | bits per byte |' : '| block + layer | parameters | accuracy | paper, at its scale |');
  lines.push(isText ? '| --- | ---: | ---: |' : '| --- | ---: | ---: | ---: |');
  for (const b of part.baselines) lines.push(`| ${b.name} | | ${b.bitsPerByte.toFixed(2)} |`);
  for (const r of part.rows) {
    const parameters = r.parameters.toLocaleString('en');
    lines.push(isText ? `| ${r.name} | ${parameters} | ${r.bitsPerByte.toFixed(2)} |` : `| ${r.name} | ${parameters} | ${percent(r.validation.accuracy)} | ${r.paper ?? ''} |`);
  }
  lines.push('');
}
const { machine, device } = report;
const time = `${Math.floor(report.seconds / 60)} min ${Math.round(report.seconds % 60)} s`;
lines.push(`Measured by \`npm start\` (seed ${report.seed}) on ${report.created.slice(0, 10)}: ${time} in all, ${machine.cpu}, ${device.threads} threads, ${machine.runtime}.`);

const readme = join(root, 'README.md');
const text = readFileSync(readme, 'utf8');
if (!text.includes('<!-- ablation -->')) throw new Error('study-table: README.md has no <!-- ablation --> region');
writeFileSync(readme, text.replace(/(<!-- ablation -->\n)[\s\S]*?(<!-- \/ablation -->)/, (_, a, b) => `${a}${lines.join('\n')}\n${b}`));

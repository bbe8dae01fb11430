import {
  type ChartSeries,
  formatCount,
  formatDuration,
  formatLoss,
  type ReportBlock,
  type ReportDocument,
  type ReportSection,
} from '@mamba-ts/train';
import { percent } from './finding';
import { isSolved, type PartReport, type RowReport, stateText, type StudyReport } from './study-report';

/** The report for people, out of the one for programs. */
export function reportPage(report: StudyReport): ReportDocument {
  const { device, machine, seed, seconds, created, finished } = report;
  const rows = report.parts.flatMap((p) => p.rows);
  const done = rows.filter((r) => r.state === 'finished' || r.state === 'diverged').length;
  const threads = device.threads === null ? '' : `, ${device.threads} ${device.threads === 1 ? 'thread' : 'threads'}`;
  return {
    title: report.title,
    lead:
      report.lead ??
      `${formatCount(rows.length)} models that differ in one part each, on the same data with the same number of steps.`,
    ...(finished
      ? {}
      : {
          warning: `This study is not complete: ${done} of its ${rows.length} runs are done. What follows is what there is.`,
        }),
    facts: [
      ['seed', String(seed)],
      ['device', `${device.name}${threads}`],
      ['time', formatDuration(seconds)],
      ['made', `${created.slice(0, 16).replace('T', ' ')} UTC`],
    ],
    sections: [
      ...report.parts.map(partSection),
      {
        title: 'How this was made',
        blocks: [
          {
            kind: 'facts',
            facts: [
              [
                'Seed',
                `${seed}: data, initial values and samples follow from it; the same seed gives the same numbers`,
              ],
              [
                'Device',
                `${device.name}${threads}; at most ${(device.peakBytes / 2 ** 20).toFixed(1)} MiB of tensors at a time`,
              ],
              ['Machine', `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`],
              ['Runtime', machine.runtime],
              [
                'Packages',
                Object.entries(report.versions)
                  .map(([name, version]) => `${name} ${version}`)
                  .join(', '),
              ],
            ],
          },
          ...rows.map(rowDetails),
        ],
      },
    ],
  };
}

function partSection(part: PartReport): ReportSection {
  const blocks: ReportBlock[] = [];
  if (part.finding !== null)
    blocks.push({ kind: 'finding', tone: succeeded(part) ? 'good' : 'plain', text: part.finding });
  if (part.why !== null) blocks.push({ kind: 'text', text: part.why });
  const scales: [string, string][] = [
    ['Task', part.task.description],
    ['Here', part.scale],
  ];
  if (part.paperScale !== null) scales.push(['The paper', part.paperScale]);
  blocks.push({ kind: 'facts', facts: scales });
  const ran = part.rows.filter((r) => r.stepsDone > 0);
  if (part.task.kind === 'text') blocks.push(...textBlocks(part, ran));
  else blocks.push(...accuracyBlocks(part, ran));
  for (const { name, sample } of ran) {
    if (!sample) continue;
    const note = `${name}, ${formatCount(sample.bytes)} bytes at temperature ${sample.temperature}, one recurrent step each (${formatCount(sample.bytesPerSecond)} bytes/s); the prompt is grey.`;
    blocks.push({ kind: 'sample', prompt: sample.prompt, text: sample.text, note });
  }
  return { title: part.title, blocks };
}

/** Whether any row solved the task, or beat every baseline. */
function succeeded(part: PartReport): boolean {
  const { rows, baselines, task } = part;
  if (task.kind !== 'text') return rows.some((r) => isSolved(part, r));
  return rows.some((r) => r.bitsPerByte !== null && baselines.every((b) => (r.bitsPerByte as number) < b.bitsPerByte));
}

/** Layers by colour, blocks by dash: what two rows share is seen at a glance. */
function look(part: PartReport, row: RowReport): { color: number; dash: number } {
  const layers = [...new Set(part.rows.map((r) => r.layer))];
  const blocks = [...new Set(part.rows.map((r) => r.block))];
  // The last block is the paper's own in the default study: it gets the solid line.
  return { color: layers.indexOf(row.layer), dash: blocks.length - 1 - blocks.indexOf(row.block) };
}

function accuracyBlocks(part: PartReport, ran: readonly RowReport[]): ReportBlock[] {
  const blocks: ReportBlock[] = [];
  const scored = ran.filter((r) => r.validation !== null);
  const marks = part.chance === null ? [] : [{ value: part.chance * 100, label: 'guessing' }];
  const papers = part.rows.some((r) => r.paper !== null);
  if (scored.length > 0) {
    blocks.push({
      kind: 'bars',
      title: 'Accuracy on data not trained on',
      maximum: 100,
      marks,
      bars: scored.map((r) => ({
        label: r.name,
        value: (r.validation?.accuracy ?? 0) * 100,
        shown: percent(r.validation?.accuracy ?? 0),
        ...look(part, r),
      })),
      note: `Share of the ${formatCount(scored[0].validation?.scored ?? 0)} scored tokens that are right.`,
    });
  }
  const hasRows = part.task.scoredPerRow > 1;
  const headings = ['parameters', 'accuracy', ...(hasRows ? ['whole rows'] : []), 'loss, nats'];
  if (papers) headings.push('paper, at its scale');
  blocks.push({
    kind: 'table',
    columns: [
      { label: 'block + layer' },
      ...headings.map((label) => ({ label, align: 'right' as const })),
      ...paceColumns('tokens/s'),
    ],
    rows: part.rows.map((r) => [
      r.name,
      formatCount(r.parameters),
      r.validation ? percent(r.validation.accuracy) : '–',
      ...(hasRows ? [r.validation ? percent(r.validation.rowAccuracy) : '–'] : []),
      r.validation ? formatLoss(r.validation.loss) : '–',
      ...(papers ? [r.paper ?? '–'] : []),
      ...paceCells(r),
    ]),
    strong: part.rows.flatMap((r, i) => (isSolved(part, r) ? [i] : [])),
    note: `Bold: solved, an accuracy of at least ${percent(part.solvedAt ?? 0.95)}.${hasRows ? ' Whole rows: those with every scored token right.' : ''}`,
  });
  if (scored.length > 0) {
    const series: ChartSeries[] = scored.map((r) => ({
      label: r.name,
      points: r.history.validations.map((v) => [v.step, v.accuracy * 100] as const),
      ...look(part, r),
    }));
    blocks.push({
      kind: 'lines',
      title: 'Accuracy while training',
      xLabel: 'step',
      yLabel: 'accuracy, %',
      yRange: [0, 100],
      series,
      marks,
    });
  }
  blocks.push(lossChart(part, ran, 'Training loss', 'nats per scored token', 1));
  return blocks;
}

function textBlocks(part: PartReport, ran: readonly RowReport[]): ReportBlock[] {
  const blocks: ReportBlock[] = [];
  const models = ran.filter((r) => r.bitsPerByte !== null);
  const bars = [
    ...part.baselines.map((b) => ({ label: b.name, value: b.bitsPerByte, shown: b.bitsPerByte.toFixed(2), color: 5 })),
    ...models.map((r) => ({
      label: r.name,
      value: r.bitsPerByte as number,
      shown: (r.bitsPerByte as number).toFixed(2),
      color: 1 + look(part, r).color,
    })),
  ];
  if (bars.length > 0) {
    const note = `Fewer is better. ${part.baselines.map((b) => `${b.name}: ${b.note}`).join('; ')}.`;
    blocks.push({ kind: 'bars', title: 'Bits per byte of held-out text', bars, note });
  }
  blocks.push({
    kind: 'table',
    columns: [
      { label: 'block + layer' },
      { label: 'parameters', align: 'right' },
      { label: 'bits per byte', align: 'right' },
      { label: 'next byte right', align: 'right' },
      ...paceColumns('bytes/s'),
    ],
    rows: part.rows.map((r) => [
      r.name,
      formatCount(r.parameters),
      r.bitsPerByte === null ? '–' : r.bitsPerByte.toFixed(3),
      r.validation ? percent(r.validation.accuracy) : '–',
      ...paceCells(r),
    ]),
  });
  const marks = part.baselines
    .filter((b) => b.name !== 'gzip, primed')
    .map((b) => ({ value: b.bitsPerByte, label: b.name }));
  blocks.push({ ...lossChart(part, ran, 'Loss while training', 'bits per byte', 1 / Math.LN2), marks });
  return blocks;
}

/** Training loss step by step, and validation where it was measured. */
function lossChart(
  part: PartReport,
  ran: readonly RowReport[],
  title: string,
  yLabel: string,
  factor: number,
): Extract<ReportBlock, { kind: 'lines' }> {
  const isText = part.task.kind === 'text';
  const series = ran.flatMap((r): ChartSeries[] => {
    const { color, dash } = look(part, r);
    const training = { label: isText ? 'training' : r.name, color: isText ? color + 1 : color, dash };
    const curve = {
      ...training,
      points: r.history.step.map((s, i) => [s, r.history.loss[i] * factor] as const),
      smooth: Math.max(5, Math.ceil(r.history.step.length / 60)),
    };
    if (!isText) return [curve];
    const validation = {
      label: 'validation',
      color: color + 2,
      dash: 0,
      points: r.history.validations.map((v) => [v.step, v.loss * factor] as const),
    };
    return ran.length === 1 ? [curve, validation] : [{ ...curve, label: r.name }];
  });
  return {
    kind: 'lines',
    title,
    xLabel: 'step',
    yLabel,
    series,
    note: 'Lines are means over neighbouring steps; the band behind is their range.',
  };
}

function paceColumns(rate: string): { label: string; align: 'right' }[] {
  return ['steps', rate, 'time'].map((label) => ({ label, align: 'right' }));
}

function paceCells(row: RowReport): string[] {
  const steps = row.state === 'finished' ? formatCount(row.stepsDone) : stateText(row);
  const rate = row.tokensPerSecond === null ? '–' : formatCount(row.tokensPerSecond);
  return [steps, rate, formatDuration(row.seconds)];
}

function rowDetails(row: RowReport): ReportBlock {
  const { model, training } = row;
  return {
    kind: 'details',
    summary: `Configuration of ${row.name} (${stateText(row)})`,
    text: JSON.stringify({ model, training }, null, 2),
  };
}

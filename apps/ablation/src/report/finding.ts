import type { PartReport } from './study-report';

/** `97.4 %` */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/**
 * What the rows of a part say together, in a sentence: by layer, since that is what an ablation swaps. Null while a row is missing.
 */
export function findingOf(part: Omit<PartReport, 'finding'>): string | null {
  if (part.rows.length === 0 || part.rows.some((r) => r.state === 'not run' || r.state === 'interrupted')) return null;
  return part.task.kind === 'text' ? textFinding(part) : accuracyFinding(part);
}

function accuracyFinding({ rows, solvedAt, chance }: Omit<PartReport, 'finding'>): string {
  const threshold = solvedAt ?? 0.95;
  const sentences = [...new Set(rows.map((r) => r.layer))].map((layer) => {
    const own = rows.filter((r) => r.layer === layer);
    const accuracies = own.map((r) => (r.state === 'finished' ? (r.validation?.accuracy ?? 0) : 0));
    const shown = own.map((r, i) => (r.state === 'finished' ? percent(accuracies[i]) : 'diverged'));
    const solved = accuracies.filter((a) => a >= threshold).length;
    const verdict =
      solved === own.length
        ? 'solves the task'
        : solved === 0
          ? 'does not solve the task'
          : 'solves the task in some rows';
    return `${layer} ${verdict} (${shown.join(', ')}).`;
  });
  if (chance !== null) sentences.push(`Guessing gives ${percent(chance)}.`);
  return sentences.join(' ');
}

function textFinding({ rows, baselines }: Omit<PartReport, 'finding'>): string {
  const scored = rows
    .filter((r) => r.bitsPerByte !== null)
    .toSorted((a, b) => (a.bitsPerByte as number) - (b.bitsPerByte as number));
  if (scored.length === 0) return 'No row has a validation loss.';
  const [best] = scored;
  const others = baselines.map((b) => `${b.name} ${b.bitsPerByte.toFixed(2)}`).join(', ');
  const better = baselines.every((b) => (best.bitsPerByte as number) < b.bitsPerByte);
  const comparison = better ? 'fewer than every baseline' : 'not fewer than every baseline';
  return `${best.name} needs ${(best.bitsPerByte as number).toFixed(2)} bits for a byte of text it has not seen, ${comparison} (${others}).`;
}

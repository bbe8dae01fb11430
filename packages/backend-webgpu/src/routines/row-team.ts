/** Invocations that share a row of `width` elements: one where the row is short. */
export function teamOf(width: number): number {
  if (width <= 32) return 1;
  return Math.min(256, 2 ** Math.ceil(Math.log2(width / 4)));
}

/** Rows that a workgroup takes: several where an invocation has one to itself. */
export function rowsOf(team: number): number {
  return team === 1 ? 64 : 1;
}

/**
 * The frame of a routine that reduces rows: `row` and `member` (index within the team) are set, and surplus invocations have left or, where there
 * are barriers, do not exist.
 */
export function rowFrame(rows: number, team: number): string {
  if (team > 1) return '  let row = group;\n  let member = lane;';
  return `  let row = group * 64u + lane;\n  if (row >= ${rows}u) { return; }\n  let member = 0u;`;
}

/** Combines what the members of a team have, with barriers; `step` prints how the element `other` joins that of `lane`. */
export function tree(team: number, step: (other: string) => string): string {
  const lines: string[] = [];
  for (let half = team / 2; half >= 1; half /= 2) {
    lines.push('  workgroupBarrier();', `  if (lane < ${half}u) { ${step(`lane + ${half}u`)} }`);
  }
  return [...lines, '  workgroupBarrier();'].join('\n');
}

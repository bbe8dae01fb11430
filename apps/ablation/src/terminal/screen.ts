import type { ProgressStream } from '@mamba-ts/train';

/** Text wider than this is hard to read, whatever the window. */
const widest = 92;

/** What the program says, on a terminal or into a log: colours and widths are decided here. */
export class Screen {
  readonly width: number;
  private readonly colors: boolean;

  constructor(
    readonly stream: ProgressStream,
    environment: Readonly<Record<string, string | undefined>>,
  ) {
    this.width = Math.min(widest, stream.columns || widest);
    this.colors = stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  }

  line(text = ''): void {
    this.stream.write(`${text}\n`);
  }

  /** A paragraph, wrapped and indented. */
  paragraph(text: string, indent = ''): void {
    for (const row of wrap(text, this.width - indent.length)) this.line(indent + row);
  }

  bold(text: string): string {
    return this.colors ? `\u001b[1m${text}\u001b[22m` : text;
  }

  dim(text: string): string {
    return this.colors ? `\u001b[2m${text}\u001b[22m` : text;
  }

  /** Rows of cells under a heading, in columns; numbers go to the right. */
  table(heading: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]): void {
    const widths = heading.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)));
    const format = (cells: readonly string[]): string =>
      `  ${cells.map((c, i) => (right.includes(i) ? c.padStart(widths[i]) : c.padEnd(widths[i]))).join('   ')}`.trimEnd();
    this.line(this.dim(format(heading)));
    this.line(this.dim(`  ${'─'.repeat(widths.reduce((sum, w) => sum + w + 3, -3))}`));
    for (const row of rows) this.line(format(row));
  }
}

/** Lines of at most `width` characters, broken between words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}

import type { BatchChoice } from '@mamba-ts/models';
import type { OutputStream } from './command';

export interface Start {
  readonly model: string;
  readonly device: string;
  readonly dtype: string;
  readonly promptTokens: readonly number[];
}

/** Where tokens go as they come. */
export interface Writer {
  start(start: Start): void;
  token(choice: BatchChoice): void;
  /** May be called again. */
  end(): void;
}

/** The text; where there is no tokenizer, ids and spaces. */
export class TextWriter implements Writer {
  private open = false;

  constructor(private readonly out: OutputStream) {}

  start(): void {}

  token({ text, token }: BatchChoice): void {
    this.out.write(text ?? `${this.open ? ' ' : ''}${token}`);
    this.open = true;
  }

  end(): void {
    if (this.open) this.out.write('\n');
    this.open = false;
  }
}

/** One JSON object a line. */
export class EventWriter implements Writer {
  private readonly rows = new Map<number, { text: string; tokens: number[] }>();

  constructor(private readonly out: OutputStream) {}

  start(start: Start): void {
    this.event('start', start);
  }

  token(choice: BatchChoice): void {
    const { row, token, text, finish } = choice;
    const sum = this.rows.get(row) ?? { text: '', tokens: [] };
    this.rows.set(row, sum);
    sum.tokens.push(token);
    sum.text += text ?? '';
    const { finish: _finish, ...rest } = choice;
    this.event('token', rest);
    if (finish) this.event('end', { row, finish, tokens: sum.tokens, ...(text !== undefined && { text: sum.text }) });
  }

  end(): void {}

  private event(event: string, fields: object): void {
    this.out.write(`${JSON.stringify({ event, ...fields })}\n`);
  }
}

import type { LayerState } from '@mamba-ts/ssm';
import {
  compile,
  type CompiledStep,
  realize,
  scope,
  type Tensor,
  tensor,
  type Variable,
  variable,
} from '@mamba-ts/tensor';
import type { LanguageModel } from '../language-model';
import { disposeState, readPrompts } from './prompts';

/** One number a token of the vocabulary. */
export type Logits = Float32Array | Float64Array;

/**
 * Runs a model token by token on several sequences at once: the prompts once, then one recurrent step a token.
 *
 * Where the state has a constant size, it lives in variables and the step is compiled once and replayed; it allocates
 * nothing. Otherwise (layers that keep their history) each row is a sequence of its own and every step is run as it
 * comes.
 */
export class BatchDecoder {
  /** One for all rows, or one each. */
  private states: LayerState[] = [];
  private readonly variables: Record<string, Variable> = {};
  private tokens: Variable | null = null;
  private compiled: CompiledStep<[], Tensor> | null = null;

  constructor(private readonly model: LanguageModel) {}

  /** Logits after each prompt, without those of the padding: one row after the other. */
  async prefill(prompts: readonly Int32Array[]): Promise<Logits[]> {
    const groups = this.model.constantState ? [prompts] : prompts.map((prompt) => [prompt]);
    const rows: Logits[] = [];
    for (const group of groups) {
      const { logits, state } = readPrompts(this.model, group);
      this.states.push(state);
      rows.push(...(await this.split(logits)));
      logits.dispose();
    }
    return rows;
  }

  /** Logits after one more token of each row. */
  async next(tokens: Int32Array): Promise<Logits[]> {
    if (!this.model.constantState) return this.eagerStep(tokens);
    this.compiled ??= this.compile(tokens.length);
    (this.tokens as Variable).write(tokens);
    return this.split(this.compiled());
  }

  /** What the model remembers: tensors whose first axis is the rows, or, for layers that keep their history, `ROW/name`. */
  state(): Readonly<Record<string, Tensor>> {
    if (this.compiled) return this.variables;
    if (this.model.constantState) return this.states[0] ?? {};
    return Object.fromEntries(
      this.states.flatMap((state, row) => Object.entries(state).map(([name, t]) => [`${row}/${name}`, t])),
    );
  }

  /** In place of `prefill`: goes on from a state as `state` gives it. The tensors belong to the decoder from now on. */
  restore(state: Readonly<Record<string, Tensor>>): void {
    if (this.model.constantState) {
      this.states = [state];
      return;
    }
    const rows: Record<string, Tensor>[] = [];
    for (const [name, t] of Object.entries(state)) {
      const slash = name.indexOf('/');
      (rows[Number(name.slice(0, slash))] ??= {})[name.slice(slash + 1)] = t;
    }
    this.states = rows;
  }

  dispose(): void {
    this.compiled?.dispose();
    this.tokens?.dispose();
    disposeState(this.variables);
    this.states.forEach(disposeState);
  }

  private compile(rows: number): CompiledStep<[], Tensor> {
    const { device } = this.model.lm_head.weight;
    const initial = tensor(new Int32Array(rows), { device });
    const tokens = variable(initial);
    initial.dispose();
    this.tokens = tokens;
    const { variables, model } = this;
    const [state] = this.states;
    for (const [name, t] of Object.entries(state)) variables[name] = variable(t);
    disposeState(state);
    this.states = [];
    return compile(() => {
      const [logits, next] = model.step(tokens, variables);
      for (const [name, v] of Object.entries(variables)) v.assign(next[name]);
      return this.real(logits);
    });
  }

  private async eagerStep(tokens: Int32Array): Promise<Logits[]> {
    const { device } = this.model.lm_head.weight;
    const rows: Logits[] = [];
    for (const [row, before] of this.states.entries()) {
      const [logits, state] = scope(() => {
        const [y, next] = this.model.step(tensor(tokens.slice(row, row + 1), { device }), before);
        const made: [Tensor, LayerState] = [this.real(y), next];
        realize(made[0], ...Object.values(next));
        return made;
      });
      disposeState(before);
      this.states[row] = state;
      rows.push(...(await this.split(logits)));
      logits.dispose();
    }
    return rows;
  }

  /** (rows, padded) → (rows, vocabSize) */
  private real(logits: Tensor): Tensor {
    return logits.slice(1, 0, this.model.vocabSize);
  }

  /** (rows, vocabSize) → the values of each row */
  private async split(logits: Tensor): Promise<Logits[]> {
    const [rows, width] = logits.shape;
    const values = (await logits.data()) as Logits;
    return Array.from({ length: rows }, (_, row) => values.subarray(row * width, (row + 1) * width));
  }
}

/** One sequence: `BatchDecoder` with one row. */
export class Decoder {
  private readonly rows: BatchDecoder;

  constructor(model: LanguageModel) {
    this.rows = new BatchDecoder(model);
  }

  /** Logits after the prompt, without those of the padding. */
  async prefill(prompt: Int32Array): Promise<Logits> {
    return (await this.rows.prefill([prompt]))[0];
  }

  /** Logits after one more token. */
  async next(token: number): Promise<Logits> {
    return (await this.rows.next(Int32Array.of(token)))[0];
  }

  dispose(): void {
    this.rows.dispose();
  }
}

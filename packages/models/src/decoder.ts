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
import type { LanguageModel } from './language-model';

/** Prompts are read in pieces of this many tokens, so that memory does not grow with their length. */
const promptChunk = 2048;

/**
 * Runs a model token by token on one sequence: the prompt once, then one recurrent step a token.
 *
 * Where the state has a constant size, it lives in variables and the step is compiled once and replayed; it allocates
 * nothing. Otherwise (layers that keep their history) every step is run as it comes.
 */
export class Decoder {
  private state: LayerState = {};
  private readonly variables: Record<string, Variable> = {};
  private token: Variable | null = null;
  private step: CompiledStep<[], Tensor> | null = null;

  constructor(private readonly model: LanguageModel) {}

  /** Logits after the prompt, without those of the padding. */
  async prefill(prompt: Int32Array): Promise<ArrayLike<number>> {
    const { device } = this.model.lm_head.weight;
    let logits: Tensor | null = null;
    for (let at = 0; at < prompt.length; at += promptChunk) {
      const before = this.state;
      const ids = prompt.slice(at, at + promptChunk);
      const [last, state] = scope(() => {
        const [y, next] = this.model.prefill(
          tensor(ids, { shape: [1, ids.length], device }),
          at === 0 ? undefined : before,
          { logits: 'last' },
        );
        const made: [Tensor, LayerState] = [this.real(y), next];
        realize(made[0], ...Object.values(next));
        return made;
      });
      logits?.dispose();
      disposeAll(before);
      logits = last;
      this.state = state;
    }
    const values = await (logits as Tensor).data();
    (logits as Tensor).dispose();
    return values;
  }

  /** Logits after one more token. */
  async next(token: number): Promise<ArrayLike<number>> {
    if (!this.model.constantState) return this.eagerStep(token);
    if (!this.step) this.compile();
    (this.token as Variable).write(Int32Array.of(token));
    return (this.step as CompiledStep<[], Tensor>)().data();
  }

  dispose(): void {
    this.step?.dispose();
    this.token?.dispose();
    disposeAll(this.variables);
    disposeAll(this.state);
  }

  private compile(): void {
    const { device } = this.model.lm_head.weight;
    const initial = tensor(Int32Array.of(0), { device });
    const token = variable(initial);
    initial.dispose();
    this.token = token;
    const { variables, model } = this;
    for (const [name, t] of Object.entries(this.state)) variables[name] = variable(t);
    disposeAll(this.state);
    this.state = {};
    this.step = compile(() => {
      const [logits, next] = model.step(token, variables);
      for (const [name, v] of Object.entries(variables)) v.assign(next[name]);
      return this.real(logits);
    });
  }

  private async eagerStep(token: number): Promise<ArrayLike<number>> {
    const { device } = this.model.lm_head.weight;
    const before = this.state;
    const [logits, state] = scope(() => {
      const [y, next] = this.model.step(tensor(Int32Array.of(token), { device }), before);
      const made: [Tensor, LayerState] = [this.real(y), next];
      realize(made[0], ...Object.values(next));
      return made;
    });
    disposeAll(before);
    this.state = state;
    const values = await logits.data();
    logits.dispose();
    return values;
  }

  /** (1, padded) → (vocabSize) */
  private real(logits: Tensor): Tensor {
    return logits.squeeze(0).slice(0, 0, this.model.vocabSize);
  }
}

function disposeAll(tensors: Readonly<Record<string, Tensor>>): void {
  for (const t of Object.values(tensors)) t.dispose();
}

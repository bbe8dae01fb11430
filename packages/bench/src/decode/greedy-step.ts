import type { LanguageModel } from '@mamba-ts/models';
import { argmax, type CompiledStep, compile, type Device, nodesCreated, type ProgramReport, scope, type Tensor, tensor, type Variable, variable } from '@mamba-ts/tensor';

/** One token after the other in one compiled program: the model's step, the likeliest token, and that token fed back. */
export class GreedyStep {
  private readonly variables: Variable[];
  private readonly step: CompiledStep<[], Tensor>;

  constructor(model: LanguageModel) {
    const { state, token } = scope(() => ({
      state: Object.fromEntries(Object.entries(model.initialState(1)).map(([name, t]) => [name, variable(t)])),
      token: variable(tensor(Int32Array.of(0))),
    }));
    this.variables = [token, ...Object.values(state)];
    this.step = compile(() => {
      const [logits, next] = model.step(token, state);
      for (const [name, v] of Object.entries(state)) v.assign(next[name]);
      const chosen = argmax(logits.slice(1, 0, model.vocabSize));
      token.assign(chosen);
      return chosen;
    });
  }

  run(): void {
    this.step();
  }

  get report(): ProgramReport {
    return this.step.explain()[0];
  }

  /** @throws Error if one more run allocates device memory or makes graph nodes */
  checkReplay(device: Device): void {
    const before = { nodes: nodesCreated(), allocations: device.memory().allocations };
    this.run();
    const nodes = nodesCreated() - before.nodes;
    const allocations = device.memory().allocations - before.allocations;
    if (nodes + allocations > 0) throw new Error(`decode: a replayed step made ${nodes} graph nodes and ${allocations} allocations, expected none`);
  }

  dispose(): void {
    for (const t of [this.step, ...this.variables]) t.dispose();
  }
}

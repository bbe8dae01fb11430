import { TensorError, Variable } from '@mamba-ts/tensor';
import { metadataOf } from './parameter';

/**
 * A part of a model: variables, other modules and lists of modules in its fields are found by name, so that a
 * parameter's path is the path of fields, `layers.0.mixer.A_log`: fields that hold parameters are named as in the
 * public checkpoints.
 */
export abstract class Module {
  /** Fields whose module's parameters appear at this level: `mixer.ssm.A_log` becomes `mixer.A_log`. */
  protected readonly inlined: readonly string[] = [];
  /** Dropout and the like act only while true. */
  training = true;

  /** Every variable by path, aliases (tied weights) included, in field order. */
  stateDict(): Map<string, Variable> {
    const found = new Map<string, Variable>();
    this.collect('', found);
    return found;
  }

  /** Trainable variables by path, each once (tied weights under their first path). */
  parameters(): Map<string, Variable> {
    const unique = new Map<string, Variable>();
    const seen = new Set<Variable>();
    for (const [path, v] of this.stateDict()) {
      if (seen.has(v) || metadataOf(v).trainable === false) continue;
      seen.add(v);
      unique.set(path, v);
    }
    return unique;
  }

  /** Number of trainable scalars. */
  parameterCount(): number {
    let n = 0;
    for (const v of this.parameters().values()) n += v.size;
    return n;
  }

  /** Switches dropout and the like on or off, here and below. */
  train(training = true): this {
    this.training = training;
    for (const [, child] of this.children()) child.train(training);
    return this;
  }

  dispose(): void {
    for (const v of new Set(this.stateDict().values())) v.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private *children(): Generator<[string, Module]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [this.inlined.includes(name) ? '' : name, value];
      else if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) if (item instanceof Module) yield [`${name}.${i}`, item];
      }
    }
  }

  private collect(prefix: string, found: Map<string, Variable>): void {
    for (const [name, value] of Object.entries(this)) {
      if (!(value instanceof Variable)) continue;
      const path = prefix + name;
      if (found.has(path))
        throw new TensorError(
          `stateDict: two variables have the path ${path} (is a field inlined beside its namesake?)`,
        );
      found.set(path, value);
    }
    for (const [name, child] of this.children()) child.collect(name === '' ? prefix : `${prefix}${name}.`, found);
  }
}

import { TensorError, Variable } from '@mamba-ts/tensor';

/** Anything that can be saved and loaded: a module, an optimiser, several of them together. */
export interface Stateful {
  /** Every variable by key. A variable may have several keys (tied weights). */
  stateDict(): Map<string, Variable>;
}

/**
 * Several parts as one, for a checkpoint file: `{ model, random }` has the keys `model.…` and, for a lone variable,
 * `random`.
 */
export function joinState(parts: Readonly<Record<string, Stateful | Variable>>): Stateful {
  return {
    stateDict() {
      const joined = new Map<string, Variable>();
      const add = (key: string, v: Variable): void => {
        if (joined.has(key)) throw new TensorError(`joinState: two variables have the key ${key}`);
        joined.set(key, v);
      };
      for (const [name, part] of Object.entries(parts)) {
        if (part instanceof Variable) add(name, part);
        else for (const [key, v] of part.stateDict()) add(`${name}.${key}`, v);
      }
      return joined;
    },
  };
}

import type { LayerState } from './sequence-layer';

/**
 * The parts of a state under names of their own: `{ ssm }` → `{ 'inner.ssm' }`, so that a layer can hold the states of
 * its parts in one record.
 */
export function nestState(prefix: string, state: LayerState): LayerState {
  return Object.fromEntries(Object.entries(state).map(([name, value]) => [`${prefix}.${name}`, value]));
}

/** The reverse of `nestState`: the parts that were put under `prefix`. */
export function nestedState(prefix: string, state: LayerState): LayerState {
  const start = `${prefix}.`;
  return Object.fromEntries(
    Object.entries(state).flatMap(([name, value]) =>
      name.startsWith(start) ? [[name.slice(start.length), value]] : [],
    ),
  );
}

import type { LayerState } from '@mamba-ts/ssm';
import { concat, realize, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import type { LanguageModel } from '../language-model';

/** Tokens that are read at once, of all rows together, so that memory does not grow with the prompts' length. */
const tokensAtOnce = 2048;
/** Not fewer of each row, however many rows there are. */
const leastAtOnce = 32;

/** After the last token of every row. */
export interface Read {
  /** (rows, vocabulary), without the padding */
  readonly logits: Tensor;
  readonly state: LayerState;
}

/**
 * Reads prompts of any lengths, one row each, with the result that each alone gives.
 *
 * No row sees padding: all are read together up to the end of the shortest, which is then set aside with its state, then
 * the others up to the end of the next, and so on. A model whose state grows with its history takes rows of one length
 * only: states of different lengths fit into no tensor.
 */
export function readPrompts(model: LanguageModel, prompts: readonly Int32Array[]): Read {
  // Longest first: those that go on are always the first rows.
  const order = prompts.map((_, row) => row).sort((a, b) => prompts[b].length - prompts[a].length || a - b);
  const done: Read[] = [];
  let live = order.length;
  let at = 0;
  let current: Read | undefined;
  while (live > 0) {
    const end = prompts[order[live - 1]].length;
    const rows = order.slice(0, live).map((row) => prompts[row]);
    const chunk = Math.max(leastAtOnce, Math.floor(tokensAtOnce / live));
    for (; at < end; at += chunk) {
      const before = current;
      current = readChunk(model, rows, at, Math.min(at + chunk, end), before?.state);
      if (before) dispose(before);
    }
    at = end;
    const going = order.slice(0, live).filter((row) => prompts[row].length > end).length;
    const whole = current!;
    if (going > 0) {
      done.push(rowsOf(whole, going, live));
      current = rowsOf(whole, 0, going);
      dispose(whole);
    } else done.push(whole);
    live = going;
  }
  return joined(done, order);
}

function readChunk(
  model: LanguageModel,
  rows: readonly Int32Array[],
  from: number,
  to: number,
  state: LayerState | undefined,
): Read {
  const { device } = model.lm_head.weight;
  const ids = Int32Array.from(rows.flatMap((row) => Array.from(row.subarray(from, to))));
  return made(() => {
    const [logits, next] = model.prefill(tensor(ids, { shape: [rows.length, to - from], device }), state, {
      logits: 'last',
    });
    return { logits: logits.slice(1, 0, model.vocabSize), state: next };
  });
}

/** Rows [from, to) with memory of their own. */
function rowsOf({ logits, state }: Read, from: number, to: number): Read {
  return made(() => ({
    logits: logits.slice(0, from, to),
    state: mapState(state, (t) => t.slice(0, from, to)),
  }));
}

/** Groups of rows, the last rows of `order` first, as the rows they are. */
function joined(groups: readonly Read[], order: readonly number[]): Read {
  if (groups.length === 1) return groups[0];
  const whole = made(() => {
    // The groups one after the other hold the rows in this order.
    const held: number[] = [];
    let end = order.length;
    for (const { logits } of groups) {
      held.push(...order.slice(end - logits.shape[0], end));
      end -= logits.shape[0];
    }
    const place = order.map((_, row) => held.indexOf(row));
    const join = (parts: Tensor[]): Tensor => {
      const all = concat(parts, 0);
      return concat(
        place.map((i) => all.slice(0, i, i + 1)),
        0,
      );
    };
    const names = Object.keys(groups[0].state);
    return {
      logits: join(groups.map((group) => group.logits)),
      state: Object.fromEntries(names.map((name) => [name, join(groups.map((group) => group.state[name]))])),
    };
  });
  groups.forEach(dispose);
  return whole;
}

/** Computes it; nothing else of `body` stays. */
function made(body: () => Read): Read {
  return scope(() => {
    const read = body();
    realize(read.logits, ...Object.values(read.state));
    return read;
  });
}

function mapState(state: LayerState, map: (t: Tensor) => Tensor): LayerState {
  return Object.fromEntries(Object.entries(state).map(([name, t]) => [name, map(t)]));
}

export function disposeState(state: LayerState): void {
  for (const t of Object.values(state)) t.dispose();
}

function dispose({ logits, state }: Read): void {
  logits.dispose();
  disposeState(state);
}

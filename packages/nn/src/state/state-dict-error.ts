import { formatShape, type Shape, TensorError } from '@mamba-ts/tensor';

/** A tensor that does not fit the variable of its key. */
export interface MisfitTensor {
  readonly key: string;
  /** e.g. `shape (4, 1, 3), expected (4, 1, 4)` */
  readonly reason: string;
}

/** What does not fit between a state dict and the tensors to load into it. Nothing was loaded. */
export class StateDictError extends TensorError {
  override name = 'StateDictError';
  /** Keys of the target that the tensors lack. */
  readonly missing: readonly string[];
  /** Keys of the tensors that the target lacks. */
  readonly unexpected: readonly string[];
  /** Tensors of another shape or kind than their variable, and keys of one variable with different values. */
  readonly misfit: readonly MisfitTensor[];

  constructor(what: { missing: readonly string[]; unexpected: readonly string[]; misfit: readonly MisfitTensor[] }) {
    const parts: string[] = [];
    if (what.missing.length > 0) parts.push(`missing ${list(what.missing)}`);
    if (what.unexpected.length > 0) parts.push(`unexpected ${list(what.unexpected)}`);
    if (what.misfit.length > 0) parts.push(`misfit ${list(what.misfit.map((m) => `${m.key} has ${m.reason}`))}`);
    super(`loadStateDict: ${parts.join('; ')}`);
    this.missing = what.missing;
    this.unexpected = what.unexpected;
    this.misfit = what.misfit;
  }
}

export function shapeReason(actual: Shape, expected: Shape): string {
  return `shape ${formatShape(actual)}, expected ${formatShape(expected)}`;
}

const shown = 12;
const longest = 100;

/** The first few; names from files are cut short and shown as one line. */
function list(items: readonly string[]): string {
  const first = items.slice(0, shown).map((x) => printable(x.length > longest ? `${x.slice(0, longest)}…` : x));
  const rest = items.length - first.length;
  return `${first.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function printable(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

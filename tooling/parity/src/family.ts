/** One number against its bound. Passed when `error <= tolerance`. */
export interface Comparison {
  readonly status: 'compared';
  readonly caseName: string;
  /** What was compared, and through which of our implementations: `grad.A (wasm)`. */
  readonly quantity: string;
  /** NaN and missing values count as Infinity. */
  readonly error: number;
  readonly tolerance: number;
}

/** A case that cannot be compared because of what is in its files. Fails the run. */
export interface Unusable {
  readonly status: 'unusable';
  readonly caseName: string;
  readonly problem: string;
}

/** A case whose part of the packages does not exist yet. Listed, neither passed nor failed. */
export interface NotYetCovered {
  readonly status: 'not yet covered';
  readonly caseName: string;
}

export type Result = Comparison | Unusable | NotYetCovered;

/** What the command line says beside the folder. */
export interface ParityOptions {
  /** Folder of the texts and tokenizers that fixtures refer to. */
  readonly dataFolder: string;
}

/** The fixtures of one folder name. Adding a fixture needs no code; adding a kind of fixture is one of these. */
export interface Family {
  /** The folder's name. */
  readonly name: string;
  /** Checks every case in `folder`. A case that is broken is a result, not an exception. */
  check(folder: string, options: ParityOptions): AsyncIterable<Result>;
}

export function compared(caseName: string, quantity: string, error: number, tolerance: number): Comparison {
  return { status: 'compared', caseName, quantity, error, tolerance };
}

export function unusable(caseName: string, problem: string): Unusable {
  return { status: 'unusable', caseName, problem };
}

export function notYetCovered(caseName: string): NotYetCovered {
  return { status: 'not yet covered', caseName };
}

/** Whether a result lets the run succeed. */
export function isMiss(result: Result): boolean {
  return result.status === 'unusable' || (result.status === 'compared' && !(result.error <= result.tolerance));
}

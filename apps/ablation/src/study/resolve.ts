import { type BlockChoice, type LanguageModelConfig, type LayerChoice, parameterCount } from '@mamba-ts/models';
import type { TokenTask } from '@mamba-ts/tasks';
import { TensorError } from '@mamba-ts/tensor';
import { UsageError } from '../errors';
import { makeTask } from '../run/task';
import type { Part, Row, Study, TrainingConfig } from './study';

/** A row with everything settled: what it trains, and how. */
export interface ResolvedRow {
  readonly name: string;
  readonly block: string;
  readonly layer: string;
  readonly paper: string | null;
  readonly model: LanguageModelConfig;
  readonly training: Required<TrainingConfig>;
  readonly parameters: number;
}

export interface ResolvedPart {
  readonly part: Part;
  readonly task: TokenTask;
  readonly rows: readonly ResolvedRow[];
}

export interface ResolveOptions {
  /** What paths in the study are relative to. */
  readonly folder: string;
  readonly seed: number;
  /** Replaces the steps of every row. */
  readonly steps?: number;
}

/**
 * Settles every row and builds every task, so that a mistake in the last line of a config shows before the first row is trained.
 *
 * @throws UsageError that names the row
 */
export function resolveStudy(study: Study, { folder, seed, steps }: ResolveOptions): ResolvedPart[] {
  return study.parts.map((part, p) => {
    const task = makeTask(part.task, folder, seed);
    const rows = part.rows.map((row, r) =>
      resolveRow(`study.parts[${p}].rows[${r}]`, part, row, task.vocabSize, steps),
    );
    const names = new Set<string>();
    rows.forEach(({ name }, r) => {
      if (names.has(name))
        throw new UsageError(`study.parts[${p}].rows[${r}] is called "${name}", as a row before it; give it a name`);
      names.add(name);
    });
    return { part, task, rows };
  });
}

function resolveRow(path: string, part: Part, row: Row, vocabSize: number, steps: number | undefined): ResolvedRow {
  const model: LanguageModelConfig = { ...part.model, ...row.model, block: row.block, layer: row.layer, vocabSize };
  const training = { ...trainingDefaults, ...part.training, ...row.training };
  if (steps !== undefined) training.steps = steps;
  // A short run must not end in its warm-up.
  training.warmup = Math.min(training.warmup, Math.floor(training.steps / 10));
  try {
    const parameters = parameterCount(model);
    const [block, layer] = [kindOf(row.block), layerName(kindOf(row.layer))];
    const name = row.name ?? `${block}${settingsOf(row.block)} + ${layer}${settingsOf(row.layer)}`;
    return { name, block, layer, paper: row.paper ?? null, model, training, parameters };
  } catch (error) {
    if (error instanceof TensorError) throw new UsageError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}

const trainingDefaults = {
  warmup: 0,
  schedule: 'cosine',
  weightDecay: 0.01,
  beta2: 0.999,
  clipNorm: 1,
  validations: 10,
} as const;

function kindOf(choice: BlockChoice | LayerChoice): string {
  return typeof choice === 'string' ? choice : choice.kind;
}

/** As the papers write it: S4D, S6; longer names stay as they are. */
function layerName(kind: string): string {
  return /\d/.test(kind) ? kind.toUpperCase() : kind;
}

/** ` (dState 8)` for `{ kind: 's6', dState: 8 }`. */
function settingsOf(choice: BlockChoice | LayerChoice): string {
  if (typeof choice === 'string') return '';
  const settings = Object.entries(choice).filter(([key]) => key !== 'kind');
  if (settings.length === 0) return '';
  const shown = settings.map(([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return ` (${shown.join(', ')})`;
}

import { joinState, loadStateDict, readSafetensors, saveStateDict, type Stateful } from '@mamba-ts/nn';
import type { Variable } from '@mamba-ts/tensor';
import { TrainingError } from '../errors';
import type { TrainingHistory } from './history';

const format = 'mamba-ts/training-checkpoint/1';

/** What a checkpoint says about the run besides its tensors. */
export interface CheckpointNotes {
  /** Updates done. */
  readonly step: number;
  readonly task: string;
  readonly batch: number;
  readonly history: TrainingHistory;
  /** Training time so far. */
  readonly seconds: number;
}

/** The parts of a run that change while it trains. */
export interface TrainingState {
  readonly model: Stateful;
  readonly optimizer: Stateful;
  /** Where dropout and the like draw from. */
  readonly random?: Variable;
}

/** A safetensors file: `model.…`, `optimizer.…`, `random`, and the notes in its header. */
export async function writeCheckpoint(state: TrainingState, notes: CheckpointNotes): Promise<Uint8Array> {
  return saveStateDict(joined(state), { metadata: { format, notes: JSON.stringify(notes) } });
}

/**
 * Puts a checkpoint's values into the parts of a run.
 *
 * @throws TrainingError when the file is no checkpoint, or one of another run; nothing was loaded then
 * @throws StateDictError when its tensors are not those of this model and optimiser; nothing was loaded then
 */
export function readCheckpoint(
  file: Uint8Array,
  state: TrainingState,
  expected: { task: string; batch: number },
): CheckpointNotes {
  const { metadata, tensors } = readSafetensors(file);
  const found = metadata.get('format');
  if (found !== format)
    throw new TrainingError(`load: the file's format is ${JSON.stringify(found ?? null)}, expected ${format}`);
  const notes = parseNotes(metadata.get('notes') ?? '');
  for (const key of ['task', 'batch'] as const) {
    if (notes[key] !== expected[key]) {
      throw new TrainingError(
        `load: the checkpoint's ${key} is ${JSON.stringify(notes[key])}, expected ${JSON.stringify(expected[key])}`,
      );
    }
  }
  loadStateDict(joined(state), tensors);
  return notes;
}

function joined({ model, optimizer, random }: TrainingState): Stateful {
  return joinState(random ? { model, optimizer, random } : { model, optimizer });
}

function parseNotes(text: string): CheckpointNotes {
  let notes: Partial<CheckpointNotes> | null = null;
  try {
    notes = JSON.parse(text) as Partial<CheckpointNotes> | null;
  } catch {
    // Told below, with everything else that may be wrong.
  }
  const { step, seconds, history } = notes ?? {};
  const columns = [history?.step, history?.loss, history?.gradientNorm, history?.validations];
  const whole =
    Number.isInteger(step) &&
    (step as number) >= 0 &&
    typeof seconds === 'number' &&
    columns.every((c) => Array.isArray(c));
  if (!whole) throw new TrainingError("load: the checkpoint's notes are damaged, expected step, seconds and history");
  return notes as CheckpointNotes;
}

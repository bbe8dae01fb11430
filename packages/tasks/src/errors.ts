/** An argument of a task is wrong; the message names it, what was expected and what came. */
export class TaskError extends Error {
  override readonly name: string = 'TaskError';
}

/** Refuses anything but an integer of at least `least` (and at most `most`). */
export function checkInteger(
  where: string,
  name: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `an integer >= ${least}` : `an integer from ${least} to ${most}`;
  throw new TaskError(`${where}: ${name} is ${String(value)}, expected ${range}`);
}

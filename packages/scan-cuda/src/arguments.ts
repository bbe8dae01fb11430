// The argument blocks of the kernels, as in kernels/arguments.cuh and kernels/reduce.cuh: every field takes 8 bytes.

/** Fields of `ScanArguments`, in order. */
export const scanArgumentFields: readonly string[] = [
  ...['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'resets'],
  ...['y', 'lastState', 'checkpoints', 'gradY', 'gradLastState', 'adjoints'],
  ...['gradU', 'gradDelta', 'gradZ', 'gradB', 'gradC', 'gradInitialState'],
  ...['partsB', 'partsC', 'partsD', 'partsBias', 'starts', 'decays'],
  ...['batch', 'length', 'channels', 'dState', 'groups', 'flags', 'chunkLog2', 'chunks', 'parts', 'tilesPerPart', 'segments', 'segmentSteps'],
];

export const scanFlags = { softplus: 1, variableB: 2, variableC: 4 } as const;

/** Fields of a `ReduceSegment`, of which the block has eight. */
export const reduceSegmentFields = ['from', 'to', 'rows', 'columns', 'rowsPerSplit', 'bf16', 'firstBlock', 'blocks'] as const;
export const reduceSegments = 8;

const indexOf: ReadonlyMap<string, number> = new Map(scanArgumentFields.map((name, index) => [name, index]));

/** Writes some fields of a scan's argument block. */
export function writeScanArguments(block: BigUint64Array, values: Readonly<Record<string, bigint | number | undefined>>): void {
  for (const name in values) {
    const index = indexOf.get(name);
    if (index !== undefined) block[index] = BigInt(values[name] ?? 0);
  }
}

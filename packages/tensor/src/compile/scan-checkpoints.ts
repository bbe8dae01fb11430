import type { Backend } from '../backend';
import { byteSize } from '../dtype';
import type { Buffer } from './kernel-builder';
import type { TensorSpec } from './program';
import { type DraftRoutine, type DraftStep, routineCall } from './schedule';

/**
 * Scans leave their states at chunk boundaries for the backward pass, which would compute them again, where both are in one program and the backend
 * can (`Backend.scanCheckpoints`). A pair has the same inputs by name, so what `checkpoint` computes again goes with the backward pass
 * behind it, and a scan in front of it keeps nothing.
 *
 * @param nextId numbers a new buffer
 */
export function keepScanCheckpoints(steps: readonly DraftStep[], backend: Backend, nextId: () => number): DraftStep[] {
  const list = [...steps];
  if (!backend.scanCheckpoints) return list;
  const scans = new Map<string, number>();
  for (const [at, step] of steps.entries()) {
    if (step.kind !== 'routine') continue;
    if (step.op.name === 'selectiveScan') scans.set(scanKey(step), at);
    if (step.op.name !== 'selectiveScanBackward') continue;
    const before = scans.get(scanKey(step));
    if (before === undefined) continue;
    let scan = list[before] as DraftRoutine;
    // A second backward pass of a scan, that of another loss, takes what the first one does.
    if (scan.outputs.length === 2) {
      const elements = backend.scanCheckpoints(routineCall(scan));
      if (!(elements > 0)) continue;
      const spec: TensorSpec = { shape: [elements], dtype: 'float32' };
      const buffer: Buffer = { id: nextId(), bytes: elements * byteSize(spec.dtype), dtype: spec.dtype, elements };
      scan = { ...scan, op: { ...scan.op, outputs: [...scan.op.outputs, spec] }, outputs: [...scan.outputs, buffer] };
      list[before] = scan;
    }
    list[at] = {
      ...step,
      inputSpecs: [...step.inputSpecs, scan.op.outputs[2]],
      inputNames: [...step.inputNames, null],
      inputs: [...step.inputs, scan.outputs[2]],
      views: [...step.views, null],
    };
  }
  return list;
}

/** What a scan and its backward pass have in common: attributes, and the inputs, which backward has behind gradY and gradLastState. */
function scanKey({ op, inputNames }: DraftRoutine): string {
  const { groups, complex, variableB, variableC, deltaSoftplus } = op.attributes;
  const names = op.name === 'selectiveScan' ? inputNames : inputNames.slice(2);
  return JSON.stringify([groups, complex, variableB, variableC, deltaSoftplus, names]);
}

import { byteSize } from '../dtype';
import type { Node, NodeOp } from '../graph/node';
import { contiguousStrides, type Shape, sizeOf } from '../shape';
import { flatten, identityRows, reshapeRows, scaled } from './index-map';
import type { RoutineCall, View } from './program';
import type { ResolvedGraph } from './resolve';

/** Offsets and pitches of views are multiples of this many bytes, so that vector loads stay aligned. */
const alignment = 16;

/** An input of a routine that is read where it lies inside a larger value, instead of being copied out of it. */
export interface ViewedInput {
  /** The larger value: a leaf, what a routine, a reduction or a product made. */
  readonly base: Node;
  readonly view: View;
}

type Routine = Extract<NodeOp, { kind: 'routine' }>;

/**
 * The input at `position` as a view of a larger value: a slice (through reshapes) whose rows, `leading` axes long, are evenly spaced. What is rounded
 * to half precision in between is a view of the float32 value where the backend rounds it itself. Null where it is none, or the backend wants it
 * contiguous.
 */
export function viewedInput(graph: ResolvedGraph, op: Routine, inputs: readonly (Node | null)[], position: number): ViewedInput | null {
  const input = inputs[position];
  const leading = input?.device.backend.viewInputs?.[op.name]?.[position];
  if (!input || leading === undefined) return null;
  // Loops over the input's elements: its axes, some of them split where a reshape in between needs it.
  const loops = [...input.shape];
  let outer = leading;
  let rows = identityRows(loops.length, 0, loops.length);
  let node = graph.resolve(input);
  let sliced = false;
  let stored: View['stored'];
  while (node.op.kind === 'slice' || node.op.kind === 'reshape' || isRounding(node)) {
    const { op: step } = node;
    const source = graph.resolve(node.inputs[0]);
    if (step.kind === 'cast') {
      stored = 'float32';
      node = source;
      continue;
    }
    if (step.kind === 'slice') {
      sliced = true;
      rows = rows.map((row, d) => scaled(row, step.steps[d], step.starts[d]));
    } else if (step.kind === 'reshape') {
      const mapped = reshapeRows(rows, node.shape, source.shape, loops);
      if (mapped === null) return null;
      if (!Array.isArray(mapped)) {
        const { loop, inner } = mapped;
        for (const row of rows) row.strides.splice(loop, 1, row.strides[loop] * inner, row.strides[loop]);
        loops.splice(loop, 1, loops[loop] / inner, inner);
        if (loop < outer) outer++;
        continue;
      }
      rows = mapped;
    }
    node = source;
  }
  if (!sliced || sizeOf(loops) === 0 || !isBase(graph, node)) return null;
  const { offset, strides } = flatten(rows, node.shape, loops.length);
  const pitch = evenPitch(loops, strides, outer);
  const unit = alignment / byteSize(node.dtype);
  if (pitch === null || offset % unit !== 0 || pitch % unit !== 0) return null;
  const view: View = { offset, pitch, ...(stored && { stored }) };
  return stored && !rounds(op, inputs, position, view) ? null : { base: node, view };
}

/** A cast from float32 to half precision. */
function isRounding({ op, dtype, inputs }: Node): boolean {
  return op.kind === 'cast' && (dtype === 'bfloat16' || dtype === 'float16') && inputs[0].dtype === 'float32';
}

/** Does the backend's code for this call round the input itself? */
function rounds({ name, attributes, outputs }: Routine, inputs: readonly (Node | null)[], position: number, view: View): boolean {
  const specs = inputs.map((x, i) => (x ? { shape: x.shape, dtype: x.dtype, ...(i === position && { view }) } : null));
  const call: RoutineCall = { name, attributes, inputs: specs, outputs };
  return inputs[position]?.device.backend.roundsInput?.(call, position) ?? false;
}

/** Values that are in memory for a routine's sake, or can be. */
function isBase(graph: ResolvedGraph, node: Node): boolean {
  return node.isLeaf || node.op.kind === 'pick' || node.op.kind === 'reduce' || graph.isProduct(node);
}

/** Elements from one row to the next, where the rows are contiguous and evenly spaced; else null. */
function evenPitch(shape: Shape, strides: readonly number[], leading: number): number | null {
  const inner = shape.slice(leading);
  const width = sizeOf(inner);
  const within = contiguousStrides(inner);
  if (inner.some((size, d) => size > 1 && strides[leading + d] !== within[d])) return null;
  const outer = shape.slice(0, leading);
  const steps = contiguousStrides(outer);
  const last = outer.findLastIndex((size) => size > 1);
  if (last < 0) return width;
  const pitch = strides[last] / steps[last];
  return pitch > 0 && Number.isInteger(pitch) && outer.every((size, d) => size === 1 || strides[d] === pitch * steps[d]) ? pitch : null;
}

// Cases of the public implementation, as safetensors with settings beside them: the layout of selective-scan fixtures.
// Their arrays are (batch, channels, length), variable B and C (batch[, groups], dState, length), complex ones with
// interleaved parts.
import { expectClose } from './closeness';
import type { ScanImplementation } from './conformance';
import type { ScanArgument, ScanGradients, ScanInputs, ScanOptions, ScanShape } from './types';
import { scanShapeOf } from './validation';

/** A recorded call in this contract's layout, with what came out of it. */
export interface RecordedCase {
  readonly shape: ScanShape;
  readonly inputs: ScanInputs;
  readonly options: ScanOptions;
  readonly gradY: Float32Array;
  readonly y: Float32Array;
  readonly lastState?: Float32Array;
  readonly gradients: Partial<ScanGradients>;
}

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function readTensors(bytes: Uint8Array): Map<string, Tensor> {
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  const text = new TextDecoder().decode(bytes.subarray(8, 8 + header));
  const entries = JSON.parse(text) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(entries)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          if (dtype !== 'F32') throw new Error(`readRecordedCase: ${name} has dtype ${dtype}, expected F32`);
          return [
            name,
            {
              shape,
              data: new Float32Array(
                bytes.buffer.slice(bytes.byteOffset + 8 + header + from, bytes.byteOffset + 8 + header + to),
              ),
            },
          ];
        },
      ),
  );
}

/** Axes in another order. */
function permute({ shape, data }: Tensor, order: readonly number[]): Tensor {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const moved = order.map((axis) => shape[axis]);
  const out = new Float32Array(data.length);
  const index = moved.map(() => 0);
  for (let i = 0; i < out.length; i++) {
    out[i] = data[index.reduce((sum, value, axis) => sum + value * strides[order[axis]], 0)];
    for (let axis = moved.length - 1; axis >= 0 && ++index[axis] === moved[axis]; axis--) index[axis] = 0;
  }
  return { shape: moved, data: out };
}

/** To this contract's layout: (batch, length, channels), variable B and C (batch, length, groups, dState[, 2]). */
function toContract(name: ScanArgument, tensor: Tensor, complex: boolean, variable: boolean): Tensor {
  if (name === 'u' || name === 'delta' || name === 'z') return permute(tensor, [0, 2, 1]);
  if ((name !== 'B' && name !== 'C') || !variable) return tensor;
  const [first, ...rest] = tensor.shape;
  const grouped = tensor.shape.length === 3 ? { ...tensor, shape: [first, 1, ...rest] } : tensor;
  if (!complex) return permute(grouped, [0, 3, 1, 2]);
  const [batch, groups, dState, twice] = grouped.shape;
  return permute({ shape: [batch, groups, dState, twice / 2, 2], data: grouped.data }, [0, 3, 1, 2, 4]);
}

/** Reads a case from the bytes of its .safetensors file and its parsed .json file. */
export function readRecordedCase(bytes: Uint8Array, settings: Readonly<Record<string, unknown>>): RecordedCase {
  const tensors = readTensors(bytes);
  const complex = tensors.has('in.A.ri');
  const find = (prefix: string, name: string): Tensor | undefined => {
    const theirs = `${prefix}${name === 'deltaBias' ? 'delta_bias' : name}`;
    return tensors.get(`${theirs}.ri`) ?? tensors.get(theirs);
  };
  const inputs: Partial<Record<ScanArgument, Float32Array>> = {};
  const gradients: Partial<Record<ScanArgument, Float32Array>> = {};
  const shapes: Partial<Record<ScanArgument, readonly number[]>> = {};
  for (const name of ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias'] as const) {
    const tensor = find('in.', name);
    if (tensor === undefined) continue;
    const contract = (from: Tensor): Tensor => toContract(name, from, complex, settings[`variable_${name}`] === true);
    const own = contract(tensor);
    inputs[name] = own.data;
    shapes[name] = own.shape;
    const gradient = find('grad.', name);
    if (gradient !== undefined) gradients[name] = contract(gradient).data;
  }
  const steps = (name: string): Float32Array => toContract('u', tensors.get(name)!, complex, false).data;
  const lastState = find('', 'last_state')?.data;
  return {
    shape: scanShapeOf(shapes as Parameters<typeof scanShapeOf>[0], 'readRecordedCase'),
    inputs: inputs as unknown as ScanInputs,
    options: { deltaSoftplus: settings.delta_softplus === true },
    ...{ gradY: steps('grad_out'), y: steps('out'), gradients },
    ...(lastState !== undefined && { lastState }),
  };
}

/** Throws unless an implementation gives what was recorded: 1e-5 forward, 1e-4 backward, relative to the norm. */
export async function checkRecordedCase(scan: Required<ScanImplementation>, recorded: RecordedCase): Promise<void> {
  const { shape, inputs, options } = recorded;
  const { y, lastState } = await scan.forward(shape, inputs, options);
  expectClose('y', y, recorded.y, 1e-5);
  if (recorded.lastState !== undefined) expectClose('last state', lastState, recorded.lastState, 1e-5);
  const gradients = await scan.backward(shape, inputs, { y: recorded.gradY }, options);
  for (const [name, values] of Object.entries(recorded.gradients) as [keyof ScanGradients, Float32Array][]) {
    expectClose(`gradient of ${name}`, gradients[name] ?? new Float32Array(), values, 1e-4);
  }
}

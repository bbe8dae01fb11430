// Cases of a public implementation: safetensors in the layout of shared/fixtures/selective-scan.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ScanArgument, type ScanGradients, type ScanInputs, type ScanShape, scanShapeOf } from '@mamba-ts/scan';
import { type ScanImplementation, expectClose } from '@mamba-ts/scan/conformance';
import type { Check } from './contract';

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function readTensors(path: string): Map<string, Tensor> {
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  return new Map(
    Object.entries(entries)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
        if (dtype !== 'F32') throw new Error(`${path}: ${name} has dtype ${dtype}, expected F32`);
        const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 8 + header + from, bytes.byteOffset + 8 + header + to));
        return [name, { shape, data }];
      }),
  );
}

/** Moves axis `from` to the place `to`. */
function moveAxis({ shape, data }: Tensor, order: readonly number[]): Tensor {
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

/** To this project's layout: (batch, length, channels), variable B and C (batch, length, groups, dState[, 2]). */
function toContract(name: ScanArgument, tensor: Tensor, complex: boolean, variable: boolean): Tensor {
  if (name === 'u' || name === 'delta' || name === 'z') return moveAxis(tensor, [0, 2, 1]);
  if ((name !== 'B' && name !== 'C') || !variable) return tensor;
  const [first, ...rest] = tensor.shape;
  const grouped = tensor.shape.length === 3 ? { ...tensor, shape: [first, 1, ...rest] } : tensor;
  if (!complex) return moveAxis(grouped, [0, 3, 1, 2]);
  const [batch, groups, dState, twice] = grouped.shape; // (batch, groups, dState, length re/im)
  return moveAxis({ shape: [batch, groups, dState, twice / 2, 2], data: grouped.data }, [0, 3, 1, 2, 4]);
}

const theirs: Partial<Record<ScanArgument, string>> = { deltaBias: 'delta_bias' };

/** One check per case in `folder`. */
export function fixtureChecks(folder: string, scan: Required<ScanImplementation>): Check[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.safetensors'))
    .sort();
  return names.map((file) => ({
    name: `fixture ${file.replace('.safetensors', '')}`,
    body: async () => {
      const tensors = readTensors(join(folder, file));
      const settings = JSON.parse(readFileSync(join(folder, file.replace('.safetensors', '.json')), 'utf8')) as Record<string, unknown>;
      const deltaSoftplus = settings.delta_softplus === true;
      const find = (prefix: string, name: string): Tensor | undefined => tensors.get(`${prefix}${name}.ri`) ?? tensors.get(`${prefix}${name}`);
      const complex = tensors.has('in.A.ri');
      const contract = (name: ScanArgument, tensor: Tensor): Tensor => toContract(name, tensor, complex, settings[`variable_${name}`] === true);
      const inputs: Partial<Record<ScanArgument, Float32Array>> = {};
      const expected: Partial<Record<ScanArgument, Float32Array>> = {};
      const shapes: Partial<Record<ScanArgument, readonly number[]>> = {};
      for (const name of ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias'] as const) {
        const tensor = find('in.', theirs[name] ?? name);
        if (tensor === undefined) continue;
        const own = contract(name, tensor);
        inputs[name] = own.data;
        shapes[name] = own.shape;
        const gradient = find('grad.', theirs[name] ?? name);
        if (gradient !== undefined) expected[name] = contract(name, gradient).data;
      }
      const shape: ScanShape = scanShapeOf(shapes as Parameters<typeof scanShapeOf>[0], file);
      const given = inputs as unknown as ScanInputs;
      const { y, lastState } = await scan.forward(shape, given, { deltaSoftplus });
      expectClose('y', y, contract('u', tensors.get('out')!).data, 1e-5);
      const state = find('', 'last_state');
      if (state !== undefined) expectClose('last state', lastState, state.data, 1e-5);
      const gradients = await scan.backward(shape, given, { y: contract('u', tensors.get('grad_out')!).data }, { deltaSoftplus });
      for (const [name, values] of Object.entries(expected) as [keyof ScanGradients, Float32Array][]) {
        expectClose(`gradient of ${name}`, gradients[name] ?? new Float32Array(), values, 1e-4);
      }
    },
  }));
}

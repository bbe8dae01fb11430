import type { Access, Guard, Instruction, Kernel } from '../compile/kernel';
import type { DType } from '../dtype';
import { binaryFunctions, roundTo, threefry2x32, unaryFunctions } from './scalar-functions';

/** Memory of the interpreter: floats of any storage type in float64, integers and bools in int32. */
export type RefMemory = Float64Array | Int32Array;

/**
 * Runs one kernel by its definition, point by point, in float64: the oracle that printers are tested against. Half-precision stores round, as
 * they would on a device.
 */
export function interpretKernel(kernel: Kernel, buffers: readonly RefMemory[], dtypes: readonly DType[]): void {
  const { domain, outerDims } = kernel;
  const outer = domain.slice(0, outerDims);
  const inner = domain.slice(outerDims);
  const values = new Array<number>(kernel.body.length + kernel.epilogue.length).fill(0);
  const point = new Array<number>(domain.length).fill(0);
  const reducing = kernel.reduces.length > 0;
  const results = kernel.reduces.map(() => 0);
  const run = (list: readonly Instruction[], first: number): void => {
    list.forEach((x, i) => {
      values[first + i] = evaluate(x, values, point, kernel, buffers, results);
    });
  };
  const write = (phase: 'body' | 'epilogue'): void => {
    for (const store of kernel.stores) {
      if (store.phase !== phase || !inside(store.access.guards, point)) continue;
      const target = buffers[store.access.buffer];
      target[affine(store.access, point)] = roundTo(dtypes[store.access.buffer], values[store.value]);
    }
  };
  forEachPoint(outer, point, 0, () => {
    if (!reducing) {
      run(kernel.body, 0);
      write('body');
      return;
    }
    kernel.reduces.forEach((r, i) => {
      results[i] = r.op === 'sum' ? 0 : Number.NEGATIVE_INFINITY;
    });
    forEachPoint(inner, point, outerDims, () => {
      run(kernel.body, 0);
      write('body');
      kernel.reduces.forEach((r, i) => {
        const v = values[r.value];
        if (r.op === 'sum') results[i] = r.dtype === 'int32' ? (results[i] + v) | 0 : results[i] + v;
        else results[i] = Number.isNaN(v) || Number.isNaN(results[i]) ? Number.NaN : Math.max(results[i], v);
      });
    });
    run(kernel.epilogue, kernel.body.length);
    write('epilogue');
  });
}

function forEachPoint(sizes: readonly number[], point: number[], first: number, body: () => void): void {
  if (sizes.includes(0)) return;
  for (let d = 0; d < sizes.length; d++) point[first + d] = 0;
  for (;;) {
    body();
    let d = sizes.length - 1;
    while (d >= 0 && ++point[first + d] === sizes[d]) point[first + d--] = 0;
    if (d < 0) return;
  }
}

function affine(a: Access | Guard, point: readonly number[]): number {
  let at = a.offset;
  for (let d = 0; d < point.length; d++) at += a.strides[d] * point[d];
  return at;
}

function inside(guards: readonly Guard[], point: readonly number[]): boolean {
  return guards.every((g) => {
    const v = affine(g, point);
    return v >= 0 && v < g.size;
  });
}

function evaluate(x: Instruction, v: readonly number[], point: readonly number[], kernel: Kernel, buffers: readonly RefMemory[], results: readonly number[]): number {
  switch (x.op) {
    case 'load': {
      const access = kernel.loads[x.load];
      return inside(access.guards, point) ? buffers[access.buffer][affine(access, point)] : 0;
    }
    case 'const':
      return x.value;
    case 'index': {
      let at = x.offset;
      for (let d = 0; d < point.length; d++) at += x.strides[d] * point[d];
      return at;
    }
    case 'reduced':
      return results[x.reduce];
    case 'where':
      return v[x.args[0]] !== 0 ? v[x.args[1]] : v[x.args[2]];
    case 'cast':
      return roundTo(x.to, v[x.args[0]]);
    case 'threefry':
      return threefry2x32(v[x.args[0]], v[x.args[1]], v[x.args[2]], 0)[x.lane];
    default:
      break;
  }
  if (x.args.length === 1) {
    const value = unaryFunctions[x.op as keyof typeof unaryFunctions](v[x.args[0]]);
    if (x.dtype === 'int32') return x.op === 'not' ? ~v[x.args[0]] : value | 0;
    return value;
  }
  return binaryFunctions(x.op as Parameters<typeof binaryFunctions>[0], x.dtype === 'int32' || x.dtype === 'bool')(v[x.args[0]], v[x.args[1]]);
}

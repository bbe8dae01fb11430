import { neededFunctions } from './wgsl/functions';

/** Element type of a binding, as WGSL names it. */
export type ElementType = 'f32' | 'i32' | 'u32' | 'vec2<f32>' | 'vec4<f32>' | 'vec2<u32>' | 'atomic<u32>';

const elementBytes: Record<ElementType, number> = { f32: 4, i32: 4, u32: 4, 'atomic<u32>': 4, 'vec2<f32>': 8, 'vec2<u32>': 8, 'vec4<f32>': 16 };

/** Memory that a pass binds. */
export type Resource =
  /** A slot of the program, or `bytes` of it from byte `offset` (a multiple of 256). */
  | { readonly kind: 'slot'; readonly slot: number; readonly offset: number; readonly bytes: number }
  /** Part of the memory that an executable keeps for itself between the passes of one step. */
  | { readonly kind: 'scratch'; readonly offset: number; readonly bytes: number }
  /** The device's fault record: [kind, value, position, limit]. */
  | { readonly kind: 'fault' };

export interface PassBinding {
  /** Variable in the code. */
  readonly name: string;
  readonly type: ElementType;
  readonly resource: Resource;
  readonly writes: boolean;
}

/**
 * One dispatch. `body` is the inside of the entry point: it sees `group` (0 … workgroups - 1) and `lane` (index within the workgroup), and the
 * bindings as arrays. `declarations` go in front: functions and workgroup memory.
 */
export interface Pass {
  /** For `explain`. */
  readonly label: string;
  readonly bindings: readonly PassBinding[];
  readonly declarations?: string;
  readonly body: string;
  readonly workgroupSize: number;
  readonly workgroups: number;
}

/** Memory of foreign code, by its own names. */
export interface NativeOperand {
  readonly name: string;
  readonly resource: Resource;
  readonly writes: boolean;
}

/** Dispatches that a kernel package prepares and encodes by itself. */
export interface NativeWork {
  readonly kind: 'native';
  /** For `explain`. */
  readonly label: string;
  readonly operands: readonly NativeOperand[];
  /** Binds buffers, in the order of the operands, for good. */
  readonly bind: (buffers: readonly GPUBufferBinding[]) => { encode(pass: GPUComputePassEncoder): void };
}

export type Work = Pass | NativeWork;

/** Workgroups in x and y: a dispatch has at most 65535 in one dimension. */
export function foldWorkgroups(count: number): readonly [number, number] {
  if (count <= 65535) return [count, 1];
  const rows = Math.ceil(count / 65535);
  return [Math.ceil(count / rows), rows];
}

export function resourceBytes(resource: Resource): number {
  return resource.kind === 'fault' ? 16 : resource.bytes;
}

/**
 * The whole shader. @param readOnly which bindings may be declared as never written (see Executable: memory that is written in the same dispatch
 * may not be)
 */
export function shaderText(pass: Pass, readOnly: readonly boolean[]): string {
  const variables = pass.bindings.map(({ name, type, resource }, i) => {
    const count = Math.max(1, Math.floor(Math.ceil(resourceBytes(resource) / 4) * 4 / elementBytes[type]));
    return `@group(0) @binding(${i}) var<storage, ${readOnly[i] ? 'read' : 'read_write'}> ${name}: array<${type}, ${count}>;`;
  });
  const [across, rows] = foldWorkgroups(pass.workgroups);
  const group = rows === 1 ? 'wid.x' : `wid.x + wid.y * ${across}u`;
  const surplus = across * rows > pass.workgroups ? `  if (group >= ${pass.workgroups}u) { return; }\n` : '';
  const code = `${pass.declarations ?? ''}
@compute @workgroup_size(${pass.workgroupSize})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let group = ${group};
${surplus}${pass.body}
}
`;
  return `${variables.join('\n')}\n${neededFunctions(code)}\n${code}`;
}

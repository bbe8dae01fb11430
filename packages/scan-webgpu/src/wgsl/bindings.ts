import { type ScanKernel, type TensorName } from '../types';
import { type ParamName, paramsCode } from './params';
import { sigmoidCode, softplusCode } from './math';
import { stateCode, stateLoaderCode, stateStorerCode } from './state';
import { type Variant } from './variant';

const packOffsets: Partial<Record<TensorName, ParamName>> = {
  A: 'packA',
  B: 'packB',
  C: 'packC',
  D: 'packD',
  deltaBias: 'packDeltaBias',
  initialState: 'packInitialState',
  resets: 'packResets',
};

/** What a kernel's body needs declared. */
export interface KernelNeeds {
  readonly label: string;
  readonly reads: readonly TensorName[];
  readonly writes: readonly TensorName[];
  /** Read and written in place. */
  readonly updates?: readonly TensorName[];
  readonly scratch: boolean;
  /** Tensors (or scratch) whose states are read or written a lane at a time. */
  readonly stateReads?: readonly (TensorName | 'scratch')[];
  readonly stateWrites?: readonly (TensorName | 'scratch')[];
  /** Whether the body works on states. */
  readonly states: boolean;
  /** Whether the body exchanges values in subgroups. */
  readonly subgroups?: boolean;
  readonly body: string;
}

/** Storage buffers that a kernel binds, in order. */
function boundBuffers(variant: Variant, needs: KernelNeeds): ScanKernel['buffers'] {
  const direct = needs.reads.filter((name) => !variant.packed.has(name));
  const scratch = needs.scratch || direct.length < needs.reads.length;
  return [
    ...direct.map((name) => ({ name, writable: variant.sharedBuffers })),
    ...[...needs.writes, ...(needs.updates ?? [])].map((name) => ({ name, writable: true })),
    ...(scratch ? [{ name: 'scratch' as const, writable: true }] : []),
  ];
}

function elementType(variant: Variant, name: TensorName | 'scratch'): string {
  if (name === 'resets') return 'i32';
  return name !== 'scratch' && variant.halves.has(name) ? 'f16' : 'f32';
}

/** A kernel's whole code: parameter block, buffers, accessors `load_NAME` and `store_NAME`, functions, body. */
export function assembleKernel(
  variant: Variant,
  needs: KernelNeeds,
): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const buffers = boundBuffers(variant, needs);
  const declarations = buffers.map(({ name, writable }, index) => {
    const access = writable ? 'read_write' : 'read';
    return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${name}: array<${elementType(variant, name)}>;`;
  });
  const both = [...(needs.updates ?? []), ...(needs.scratch ? ['scratch' as const] : [])];
  const loaders = [...needs.reads, ...both].map((name) => {
    const offset = name === 'scratch' ? undefined : packOffsets[name];
    const packed = name !== 'scratch' && variant.packed.has(name);
    const element = packed ? `scratch[params.${offset} + i]` : `${name}[i]`;
    return name === 'resets'
      ? `fn load_resets(i: u32) -> f32 { return select(1.0, 0.0, ${element} != ${packed ? '0.0' : '0'}); }`
      : `fn load_${name}(i: u32) -> f32 { return f32(${element}); }`;
  });
  const storers = [...needs.writes, ...both].map((name) => {
    const type = elementType(variant, name);
    return `fn store_${name}(i: u32, value: f32) { ${name}[i] = ${type}(value); }`;
  });
  const code = [
    buffers.some(({ name }) => elementType(variant, name) === 'f16') ? 'enable f16;' : '',
    needs.subgroups ? 'enable subgroups;' : '',
    paramsCode,
    ...declarations,
    ...loaders,
    ...storers,
    needs.body.includes('softplus(') ? softplusCode : '',
    needs.body.includes('sigmoid(') ? sigmoidCode : '',
    needs.states ? stateCode(variant) : '',
    ...(needs.stateReads ?? []).map((name) => stateLoaderCode(variant, `load_${name}`)),
    ...(needs.stateWrites ?? []).map((name) => stateStorerCode(variant, `store_${name}`)),
    needs.body,
  ];
  return { label: needs.label, buffers, code: code.filter((part) => part !== '').join('\n') };
}

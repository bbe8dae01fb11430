import { type ScanKernel, type TensorName } from '../types';
import { assembleKernel } from './bindings';
import { channelCode, jobCode, mainHead, rowIndex, timeStepCode } from './job';
import { type Variant, repeat, when, workgroupSize, width } from './variant';

/** Workgroup memory of the summary kernel: (dt, dt u, g), B and C of a tile. */
export function summaryWorkgroupBytes(
  { lanes, channelBlock, tile }: { lanes: number; channelBlock: number; tile: number },
  bytesPerState: number,
  kind: { variableB: boolean; variableC: boolean; resets: boolean },
): number {
  const coefficients = Number(kind.variableB) + Number(kind.variableC);
  return tile * (12 * channelBlock + coefficients * lanes * bytesPerState + (kind.resets ? 4 : 0));
}

/** Decay of a chunk that a reset lies in, in place of its sum of dt. */
export const resetMark = '3.0e38';

/**
 * One chunk of steps on its own, from a zero state: its last state and its decay, which is exp(A sum dt) (the sum is
 * kept) or, in complex mode, where large angles would lose digits, the product itself. For backward also the adjoint
 * at its start, from a zero adjoint at its end: sum_t conj(a_1 … a_t) k g_t conj(C_t), in the same pass over time.
 */
export function summaryKernel(variant: Variant, backward: boolean): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { lanes, channelBlock, tile, complex, variableB, variableC, z, resets, deltaBias } = variant;
  const size = workgroupSize(variant);
  const own = Math.ceil(tile / lanes);
  const rows = Math.ceil(tile / channelBlock);
  const products = backward || complex;
  const body = `
var<workgroup> tileX: array<vec2f, ${tile * channelBlock}>;
${when(backward, `var<workgroup> tileG: array<f32, ${tile * channelBlock}>;`)}
${when(variableB, `var<workgroup> tileB: array<State, ${tile * lanes}>;`)}
${when(backward && variableC, `var<workgroup> tileC: array<State, ${tile * lanes}>;`)}
${when(resets, `var<workgroup> tileKeep: array<f32, ${tile}>;`)}
${mainHead(size)}
  ${jobCode(variant, 'groupBlocks')}
  ${channelCode(variant, 'block')}
  var h = zeroState();
  ${when(backward, 'var adjoint = zeroState();')}
  ${when(products, 'var product = oneState();')}
  ${when(!complex, 'var sum = 0.0;')}
  ${variableB ? '' : 'var B = zeroState();'}
  ${when(backward && !variableC, 'var C = zeroState();')}
  if (live) {
    ${variableB ? '' : 'B = load_B_state(coefficients, lane);'}
    ${when(backward && !variableC, 'C = load_C_state(coefficients, lane);')}
  }
  for (var tile0 = begin; tile0 < end; tile0 += ${tile}u) {
    ${repeat(
      own,
      (q) => `
    { let t = lane + ${q * lanes}u;
      if (t < ${tile}u) {
        var x = vec2f();
        ${when(backward, 'var g = 0.0;')}
        if (live && tile0 + t < end) {
          let at = (b * params.length + tile0 + t) * params.channels + channel;
          let dt = ${timeStepCode(variant, 'load_delta(at) + bias')};
          x = vec2f(dt, dt * load_u(at));
          ${when(backward, 'g = load_gradY(at);')}
          ${when(backward && z, 'let gate = load_z(at); g *= gate * sigmoid(gate);')}
        }
        tileX[t * ${channelBlock}u + c] = x;
        ${when(backward, `tileG[t * ${channelBlock}u + c] = g;`)}
      }
    }`,
    )}
    ${repeat(
      variableB || (backward && variableC) || resets ? rows : 0,
      (q) => `
    { let t = c + ${q * channelBlock}u;
      if (t < ${tile}u) {
        ${when(variableB, 'var rowB = zeroState();')}
        ${when(backward && variableC, 'var rowC = zeroState();')}
        ${when(resets, 'var keep = 1.0;')}
        if (tile0 + t < end) {
          let row = ${rowIndex(variant, 'tile0 + t')};
          ${when(variableB, 'rowB = load_B_state(row, lane);')}
          ${when(backward && variableC, 'rowC = load_C_state(row, lane);')}
          ${when(resets, 'keep = load_resets(b * params.length + tile0 + t);')}
        }
        ${when(variableB, `tileB[t * ${lanes}u + lane] = rowB;`)}
        ${when(backward && variableC, `tileC[t * ${lanes}u + lane] = rowC;`)}
        ${when(resets, 'if (lane == 0u) { tileKeep[t] = keep; }')}
      }
    }`,
    )}
    workgroupBarrier();
    for (var t = 0u; t < ${tile}u; t++) {
      let x = tileX[t * ${channelBlock}u + c];
      ${when(variableB, `let B = tileB[t * ${lanes}u + lane];`)}
      let a = ${resets ? 'times(tileKeep[t], decayOf(x.x, A))' : 'decayOf(x.x, A)'};
      h = plus(mul(a, h), times(x.y, B));
      ${when(products, 'product = mul(a, product);')}
      ${when(!complex, resets ? `sum = select(sum + x.x, ${resetMark}, tileKeep[t] == 0.0 || sum == ${resetMark});` : 'sum += x.x;')}
      ${when(
        backward,
        `${when(variableC, `let C = tileC[t * ${lanes}u + lane];`)}
      adjoint = plus(adjoint, mulConj(product, seed(tileG[t * ${channelBlock}u + c], C)));`,
      )}
    }
    workgroupBarrier();
  }
  if (live) {
    store_scratch_state(record + coefficients, lane, h);
    ${when(backward, 'store_scratch_state(record + params.recordAdjoint + coefficients, lane, adjoint);')}
    ${
      complex
        ? 'store_scratch_state(record + params.recordDecay + coefficients, lane, product);'
        : 'if (lane == 0u) { store_scratch(record + params.recordDecay + channel, sum); }'
    }
  }
}
`;
  const reads: (TensorName | false)[] = [
    ...(['u', 'delta', 'A', 'B'] as const),
    deltaBias && 'deltaBias',
    resets && 'resets',
    backward && 'C',
    backward && 'gradY',
    backward && z && 'z',
  ];
  return assembleKernel(variant, {
    label: backward ? 'summary of chunks, both directions' : 'summary of chunks',
    reads: reads.filter((name) => name !== false),
    writes: [],
    scratch: true,
    states: true,
    stateReads: backward ? ['A', 'B', 'C'] : ['A', 'B'],
    stateWrites: ['scratch'],
    body,
  });
}

/** Invocations of a workgroup of the kernels that have one per element. */
export const elementwiseSize = 64;

/** Element of this invocation, over two dimensions of workgroups; past `count` it returns. */
export function elementCode(count: string): string {
  return `
  let element = (group_id.y * groups.x + group_id.x) * ${elementwiseSize}u + local;
  if (element >= ${count}) { return; }`;
}

/**
 * Carries states over the chunks: replaces each chunk's last state by the state that it begins with, and for backward
 * each chunk's first adjoint by the one that reaches its end. One invocation per (batch, channel, state).
 */
export function carryKernel(variant: Variant, backward: boolean): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { complex, dState, initialState, lastState } = variant;
  const w = width(variant);
  const unroll = 4;
  const value = complex ? 'vec2f' : 'f32';
  const read = (offset: string, i: string): string => {
    const at = `${offset} + ${i}`;
    return complex ? `vec2f(load_scratch(${at}), load_scratch(${at} + 1u))` : `load_scratch(${at})`;
  };
  const write = (store: string, offset: string, text: string): string =>
    complex
      ? `store_${store}(${offset}, ${text}.x); store_${store}(${offset} + 1u, ${text}.y);`
      : `store_${store}(${offset}, ${text});`;
  const tensor = (name: TensorName): string =>
    complex ? `vec2f(load_${name}(whole), load_${name}(whole + 1u))` : `load_${name}(whole)`;
  const decayAt = complex
    ? read('row + params.recordDecay', 'index')
    : 'decayed(load_scratch(row + params.recordDecay + channel), a)';
  const product = (a: string, b: string): string => (complex ? `multiply(${a}, ${b})` : `${a} * ${b}`);
  const conj = (a: string): string => (complex ? `vec2f(${a}.x, -${a}.y)` : a);
  const sweep = (offset: string, chunk: (i: string) => string, carry: string, decay: (a: string) => string): string => `
  for (var i = 0u; i < params.chunks; i += ${unroll}u) {
    ${repeat(
      unroll,
      (j) => `var own${j}: ${value}; var decay${j}: ${value};
    if (i + ${j}u < params.chunks) {
      let row = first + ${chunk(`(i + ${j}u)`)} * params.recordStride;
      own${j} = ${read(`row${offset}`, 'index')};
      decay${j} = ${decayAt};
    }`,
    )}
    ${repeat(
      unroll,
      (j) => `if (i + ${j}u < params.chunks) {
      let row = first + ${chunk(`(i + ${j}u)`)} * params.recordStride;
      ${write('scratch', `row${offset} + index`, carry)}
      ${carry} = own${j} + ${product(decay(`decay${j}`), carry)};
    }`,
    )}
  }`;
  const body = `
${
  complex
    ? 'fn multiply(a: vec2f, b: vec2f) -> vec2f { return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }'
    : `fn decayed(sum: f32, a: f32) -> f32 { return select(exp2(sum * 1.44269504 * a), 0.0, sum == ${resetMark}); }`
}
${mainHead(elementwiseSize)}
  let perBatch = params.channels * ${dState}u;
  ${elementCode('params.batch * perBatch')}
  let b = element / perBatch;
  let index = (element % perBatch) * ${w}u;
  let whole = element * ${w}u;
  ${when(!complex, `let channel = (element % perBatch) / ${dState}u;\n  let a = load_A(index);`)}
  let first = params.records + b * params.chunks * params.recordStride;
  var h = ${initialState ? tensor('initialState') : `${value}()`};
  ${sweep(
    '',
    (i) => i,
    'h',
    (a) => a,
  )}
  ${when(!backward && lastState, write('lastState', 'whole', 'h'))}
  ${when(
    backward,
    `var adjoint = ${lastState ? tensor('gradLastState') : `${value}()`};
  ${sweep(' + params.recordAdjoint', (i) => `(params.chunks - 1u - ${i})`, 'adjoint', conj)}
  ${when(initialState, write('gradInitialState', 'whole', 'adjoint'))}`,
  )}
}
`;
  const reads: (TensorName | false)[] = [
    !complex && 'A',
    initialState && 'initialState',
    backward && lastState && 'gradLastState',
  ];
  const writes: (TensorName | false)[] = [
    !backward && lastState && 'lastState',
    backward && initialState && 'gradInitialState',
  ];
  return assembleKernel(variant, {
    label: backward ? 'carry over chunks, both directions' : 'carry over chunks',
    reads: reads.filter((name) => name !== false),
    writes: writes.filter((name) => name !== false),
    scratch: true,
    states: false,
    body,
  });
}

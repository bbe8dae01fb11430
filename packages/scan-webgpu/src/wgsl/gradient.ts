import { type ScanKernel, type TensorName } from '../types';
import { assembleKernel } from './bindings';
import { channelCode, jobCode, mainHead, rowIndex, timeStepCode } from './job';
import { reduceInSubgroups, reduceInWorkgroup } from './reduction';
import { type Variant, repeat, when, workgroupSize } from './variant';

/**
 * All gradients over one chunk, from the state at its start and the adjoint at its end. Forward through the chunk once
 * to get the state before each tile; then, from the last tile to the first, the tile's states again and the adjoint
 * backwards through them (s, g, q as in the reference of `@mamba-ts/scan`). A workgroup takes the channel blocks
 * `slot`, `slot + slots`, … of its group in turn, and adds their parts of dB and dC, so the order of every sum is fixed.
 */
export function gradientKernel(variant: Variant): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { lanes, channelBlock, tile, variableB, variableC, chunkTiles } = variant;
  const { D, z, resets, deltaBias, deltaSoftplus } = variant;
  const size = workgroupSize(variant);
  const own = Math.ceil(tile / lanes);
  const rows = Math.ceil(tile / channelBlock);
  const stageSteps = (full: boolean): string =>
    repeat(
      own,
      (q) => `
    { let t = lane + ${q * lanes}u;
      if (t < ${tile}u) {
        var x = vec4f();
        if (live && tile0 + t < end) {
          let at = (b * params.length + tile0 + t) * params.channels + channel;
          let raw = load_delta(at) + bias;
          x.x = ${timeStepCode(variant, 'raw')};
          x.y = load_u(at);
          ${when(
            full,
            `x.z = load_gradY(at);
          ${when(z, 'let gate = load_z(at); x.z *= gate * sigmoid(gate);')}
          x.w = ${deltaSoftplus ? 'select(sigmoid(raw), 1.0, raw > 20.0)' : '1.0'};`,
          )}
        }
        tileX[t * ${channelBlock}u + c] = x;
      }
    }`,
    );
  const stageRows = (full: boolean): string =>
    repeat(
      variableB || (full && variableC) || resets ? rows : 0,
      (q) => `
    { let t = c + ${q * channelBlock}u;
      if (t < ${tile}u) {
        ${when(variableB, 'var rowB = zeroState();')}
        ${when(full && variableC, 'var rowC = zeroState();')}
        ${when(resets, 'var keep = 1.0;')}
        if (tile0 + t < end) {
          let row = ${rowIndex(variant, 'tile0 + t')};
          ${when(variableB, 'rowB = load_B_state(row, lane);')}
          ${when(full && variableC, 'rowC = load_C_state(row, lane);')}
          ${when(resets, 'keep = load_resets(b * params.length + tile0 + t);')}
        }
        ${when(variableB, `tileB[t * ${lanes}u + lane] = rowB;`)}
        ${when(full && variableC, `tileC[t * ${lanes}u + lane] = rowC;`)}
        ${when(resets, 'if (lane == 0u) { tileKeep[t] = keep; }')}
      }
    }`,
    );
  const decay = (t: string): string =>
    resets ? `times(tileKeep[${t}], decayOf(x.x, A))` : 'decayOf(x.x, A)';
  const step = (t: string): string => `
      let x = tileX[${t} * ${channelBlock}u + c];
      ${when(variableB, `let B = tileB[${t} * ${lanes}u + lane];`)}`;

  const reduction = variant.subgroup > 0 ? reduceInSubgroups(variant) : reduceInWorkgroup(variant);

  // one step backwards; h_t and h_{t+1} are the states around it
  const back = (t: number): string => `
    {
      ${step(`${t}u`)}
      ${when(variableC, `let C = tileC[${t * lanes}u + lane];`)}
      let dtu = x.x * x.y;
      let s = plus(adjoint, seed(x.z, C));
      let q = mulConj(mul(a${t}, h${t}), s);
      gradA = plus(gradA, times(x.x, q));
      adjoint = mulConj(a${t}, s);
      let partB = times(dtu, s);
      let partC = seed(x.z, h${t + 1});
      ${variableB ? '' : 'gradB = plus(gradB, partB);'}
      ${variableC ? '' : 'gradC = plus(gradC, partC);'}
      ${reduction.step(t, { sumB: 'inner(s, B)', sumA: 'inner(q, A)', y: `readout(C, h${t + 1})` })}
    }`;

  const storeSum = (name: 'D' | 'Bias'): string => `
    ${reduction.overLanes(`grad${name}`)}
    if (live && lane == 0u) { store_scratch(record + params.record${name} + channel, grad${name}); }`;

  const body = `
var<workgroup> tileX: array<vec4f, ${tile * channelBlock}>;
${when(variableB, `var<workgroup> tileB: array<State, ${tile * lanes}>;`)}
${when(variableC, `var<workgroup> tileC: array<State, ${tile * lanes}>;`)}
${when(resets, `var<workgroup> tileKeep: array<f32, ${tile}>;`)}
${reduction.declarations}
${mainHead(size)}
  ${jobCode(variant, 'slots').replace('let block = ', 'let slot = ')}
  let tiles = (end - begin + ${tile - 1}u) / ${tile}u;
  for (var block = slot; block < params.groupBlocks; block += params.slots) {
    ${channelCode(variant, 'block')}
    var h = zeroState();
    var adjoint = zeroState();
    ${when(D, 'var skip = 0.0;\n    var gradD = 0.0;')}
    ${when(deltaBias, 'var gradBias = 0.0;')}
    var gradA = zeroState();
    ${variableB ? '' : 'var B = zeroState();\n    var gradB = zeroState();'}
    ${variableC ? '' : 'var C = zeroState();\n    var gradC = zeroState();'}
    if (live) {
      ${when(D, 'skip = load_D(channel);')}
      ${variableB ? '' : 'B = load_B_state(coefficients, lane);'}
      ${variableC ? '' : 'C = load_C_state(coefficients, lane);'}
      h = load_scratch_state(record + coefficients, lane);
      adjoint = load_scratch_state(record + params.recordAdjoint + coefficients, lane);
    }
    ${when(
      chunkTiles > 1,
      `var starts: array<State, ${Math.max(1, chunkTiles - 1)}>;
    for (var i = 0u; i + 1u < tiles; i++) {
      let tile0 = begin + i * ${tile}u;
      starts[i] = h;
      workgroupBarrier();
      ${stageSteps(false)}
      ${stageRows(false)}
      workgroupBarrier();
      for (var t = 0u; t < ${tile}u; t++) {
        ${step('t')}
        h = plus(mul(${decay('t')}, h), times(x.x * x.y, B));
      }
    }`,
    )}
    for (var i = tiles; i > 0u; i--) {
      let tile0 = begin + (i - 1u) * ${tile}u;
      ${when(chunkTiles > 1, 'if (i < tiles) { h = starts[i - 1u]; }')}
      workgroupBarrier();
      ${stageSteps(true)}
      ${stageRows(true)}
      workgroupBarrier();
      let h0 = h;
      ${repeat(
        tile,
        (t) => `var a${t}: State; var h${t + 1}: State;
      { ${step(`${t}u`)}
      a${t} = ${decay(`${t}u`)}; h${t + 1} = plus(mul(a${t}, h${t}), times(x.x * x.y, B)); }`,
      )}
      ${reduction.tileStart}
      ${repeat(tile / reduction.steps, (k) => {
        const t0 = tile - (k + 1) * reduction.steps;
        return `${when(k > 0, 'workgroupBarrier();')}
      ${repeat(reduction.steps, (r) => back(t0 + reduction.steps - 1 - r))}
      ${reduction.finish(t0)}`;
      })}
    }
    if (live) {
      store_scratch_state(record + coefficients, lane, gradA);
      ${variableB ? '' : 'store_scratch_state(record + params.recordAdjoint + coefficients, lane, gradB);'}
      ${variableC ? '' : 'store_scratch_state(record + params.recordC + coefficients, lane, gradC);'}
    }
    ${when(D, storeSum('D'))}
    ${when(deltaBias, storeSum('Bias'))}
  }
}
`;
  const reads: (TensorName | false)[] = [
    ...(['u', 'delta', 'A', 'B', 'C', 'gradY'] as const),
    D && 'D',
    z && 'z',
    deltaBias && 'deltaBias',
    resets && 'resets',
  ];
  return assembleKernel(variant, {
    label: variant.subgroup > 0 ? 'gradients of chunks, sums in subgroups' : 'gradients of chunks',
    reads: reads.filter((name) => name !== false),
    writes: ['gradU', 'gradDelta', ...(z ? (['gradZ'] as const) : [])],
    scratch: true,
    states: true,
    subgroups: variant.subgroup > 0,
    stateReads: ['A', 'B', 'C', 'scratch'],
    stateWrites: ['scratch'],
    body,
  });
}

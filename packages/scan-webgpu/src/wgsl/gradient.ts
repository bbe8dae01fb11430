import { type ScanKernel, type TensorName } from '../types';
import { assembleKernel } from './bindings';
import { channelCode, jobCode, mainHead, rowIndex, timeStepCode } from './job';
import { type Variant, repeat, when, workgroupSize, width } from './variant';

interface GradientKind {
  readonly variableB: boolean;
  readonly variableC: boolean;
  readonly z: boolean;
  readonly resets: boolean;
}

/**
 * Workgroup memory of the gradient kernel: (dt, u, g, slope of dt), B and C of a tile, and what is summed every
 * `reduceSteps` steps: 2 or 3 numbers per step and lane over the lanes, a State or two over the channels.
 */
export function gradientWorkgroupBytes(
  tiling: { lanes: number; channelBlock: number; tile: number; reduceSteps: number },
  bytesPerState: number,
  kind: GradientKind,
): number {
  const { lanes, channelBlock, tile, reduceSteps } = tiling;
  const coefficients = Number(kind.variableB) + Number(kind.variableC);
  const staged = tile * (16 * channelBlock + coefficients * lanes * bytesPerState + (kind.resets ? 4 : 0));
  const overLanes = reduceSteps * (kind.z ? 3 : 2) * 4 * lanes * channelBlock;
  const overChannels = reduceSteps * coefficients * bytesPerState * lanes * (channelBlock + 1);
  return staged + overLanes + overChannels;
}

/**
 * All gradients over one chunk, from the state at its start and the adjoint at its end. Forward through the chunk once
 * to get the state before each tile; then, from the last tile to the first, the tile's states again and the adjoint
 * backwards through them (s, g, q as in the reference of `@mamba-ts/scan`). A workgroup takes the channel blocks
 * `slot`, `slot + slots`, … of its group in turn, and adds their parts of dB and dC, so the order of every sum is fixed.
 */
export function gradientKernel(variant: Variant): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { lanes, channelBlock, tile, reduceSteps, variableB, variableC, chunkTiles } = variant;
  const { D, z, resets, deltaBias, deltaSoftplus } = variant;
  const size = workgroupSize(variant);
  const own = Math.ceil(tile / lanes);
  const rows = Math.ceil(tile / channelBlock);
  const variable = variableB || variableC;
  const sums = z ? 3 : 2;
  const stride = channelBlock + 1; // keeps the readers of one step in different banks
  const rowStride = variant.dState * width(variant);
  const sumsOf = (which: number, r: string): string =>
    `tileSums[((${which}u * ${reduceSteps}u + ${r}) * ${lanes}u + lane) * ${channelBlock}u + c]`;

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

  // one step backwards; `before` and `after` are the states around it
  const back = (t: number): string => `
    {
      ${step(`${t}u`)}
      ${when(variableC, `let C = tileC[${t * lanes}u + lane];`)}
      let dtu = x.x * x.y;
      let s = plus(adjoint, seed(x.z, C));
      let q = mulConj(mul(a${t}, h${t}), s);
      gradA = plus(gradA, times(x.x, q));
      adjoint = mulConj(a${t}, s);
      ${sumsOf(0, `${t % reduceSteps}u`)} = inner(s, B);
      ${sumsOf(1, `${t % reduceSteps}u`)} = inner(q, A);
      ${when(z, `${sumsOf(2, `${t % reduceSteps}u`)} = readout(C, h${t + 1});`)}
      ${
        variableB
          ? `partsB[(${t % reduceSteps}u * ${lanes}u + lane) * ${stride}u + c] = times(dtu, s);`
          : 'gradB = plus(gradB, times(dtu, s));'
      }
      ${
        variableC
          ? `partsC[(${t % reduceSteps}u * ${lanes}u + lane) * ${stride}u + c] = seed(x.z, h${t + 1});`
          : `gradC = plus(gradC, seed(x.z, h${t + 1}));`
      }
    }`;

  const reduceLanes = (t0: number): string =>
    repeat(
      Math.ceil(reduceSteps / lanes),
      (q) => `
    { let r = lane + ${q * lanes}u;
      if (live && r < ${reduceSteps}u && tile0 + ${t0}u + r < end) {
        let x = tileX[(${t0}u + r) * ${channelBlock}u + c];
        let at = (b * params.length + tile0 + ${t0}u + r) * params.channels + channel;
        var sumB = 0.0; var sumA = 0.0; ${when(z, 'var y = 0.0;')}
        for (var k = 0u; k < ${lanes}u; k++) {
          sumB += tileSums[(r * ${lanes}u + k) * ${channelBlock}u + c];
          sumA += tileSums[((${reduceSteps}u + r) * ${lanes}u + k) * ${channelBlock}u + c];
          ${when(z, `y += tileSums[((${2 * reduceSteps}u + r) * ${lanes}u + k) * ${channelBlock}u + c];`)}
        }
        store_gradU(at, ${D ? 'skip * x.z + ' : ''}x.x * sumB);
        let gradDelta = (sumB * x.y + sumA) * x.w;
        store_gradDelta(at, gradDelta);
        ${when(deltaBias, 'gradBias += gradDelta;')}
        ${when(D, 'gradD += x.z * x.y;')}
        ${when(
          z,
          `let gate = load_z(at);
        let open = sigmoid(gate);
        store_gradZ(at, load_gradY(at) * (y${D ? ' + skip * x.y' : ''}) * open * (1.0 + gate * (1.0 - open)));`,
        )}
      }
    }`,
    );
  const reduceChannels = (name: 'B' | 'C', t0: number): string => `
    for (var j = local; j < ${reduceSteps * lanes}u; j += ${size}u) {
      let t = tile0 + ${t0}u + j / ${lanes}u;
      if (t < end) {
        var sum = parts${name}[j * ${stride}u];
        for (var k = 1u; k < ${channelBlock}u; k++) { sum = plus(sum, parts${name}[j * ${stride}u + k]); }
        let row = params.part${name} + (slot * params.batch * params.length * params.groups) * ${rowStride}u + ${rowIndex(variant, 't')};
        if (block > slot) { sum = plus(sum, load_scratch_state(row, j % ${lanes}u)); }
        store_scratch_state(row, j % ${lanes}u, sum);
      }
    }`;
  const sumOverLanes = (name: 'D' | 'Bias'): string => `
    workgroupBarrier();
    tileSums[local] = grad${name};
    workgroupBarrier();
    if (live && lane == 0u) {
      for (var k = 1u; k < ${lanes}u; k++) { grad${name} += tileSums[k * ${channelBlock}u + c]; }
      store_scratch(record + params.record${name} + channel, grad${name});
    }`;

  const body = `
var<workgroup> tileX: array<vec4f, ${tile * channelBlock}>;
${when(variableB, `var<workgroup> tileB: array<State, ${tile * lanes}>;`)}
${when(variableC, `var<workgroup> tileC: array<State, ${tile * lanes}>;`)}
${when(resets, `var<workgroup> tileKeep: array<f32, ${tile}>;`)}
var<workgroup> tileSums: array<f32, ${sums * reduceSteps * size}>;
${when(variableB, `var<workgroup> partsB: array<State, ${reduceSteps * lanes * stride}>;`)}
${when(variableC, `var<workgroup> partsC: array<State, ${reduceSteps * lanes * stride}>;`)}
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
      ${repeat(tile / reduceSteps, (k) => {
        const t0 = tile - (k + 1) * reduceSteps;
        return `${when(k > 0, 'workgroupBarrier();')}
      ${repeat(reduceSteps, (r) => back(t0 + reduceSteps - 1 - r))}
      workgroupBarrier();
      ${reduceLanes(t0)}
      ${when(variableB, reduceChannels('B', t0))}
      ${when(variableC, reduceChannels('C', t0))}`;
      })}
    }
    if (live) {
      store_scratch_state(record + coefficients, lane, gradA);
      ${variableB ? '' : 'store_scratch_state(record + params.recordAdjoint + coefficients, lane, gradB);'}
      ${variableC ? '' : 'store_scratch_state(record + params.recordC + coefficients, lane, gradC);'}
    }
    ${when(D, sumOverLanes('D'))}
    ${when(deltaBias, sumOverLanes('Bias'))}
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
    label: `gradients of chunks${variable ? '' : ', constant B and C'}`,
    reads: reads.filter((name) => name !== false),
    writes: ['gradU', 'gradDelta', ...(z ? (['gradZ'] as const) : [])],
    scratch: true,
    states: true,
    stateReads: ['A', 'B', 'C', 'scratch'],
    stateWrites: ['scratch'],
    body,
  });
}

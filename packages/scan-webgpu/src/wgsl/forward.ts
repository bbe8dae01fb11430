import { type ScanKernel, type TensorName } from '../types';
import { assembleKernel } from './bindings';
import { channelCode, jobCode, mainHead, rowIndex, timeStepCode } from './job';
import { type Variant, repeat, when, workgroupSize } from './variant';

/** Workgroup memory of the forward kernel: (dt, dt u) and B, C of a tile, and each lane's part of y. */
export function forwardWorkgroupBytes(
  { lanes, channelBlock, tile }: { lanes: number; channelBlock: number; tile: number },
  bytesPerState: number,
  kind: { variableB: boolean; variableC: boolean; resets: boolean },
): number {
  const coefficients = Number(kind.variableB) + Number(kind.variableC);
  return tile * (8 * channelBlock + coefficients * lanes * bytesPerState + 4 * lanes * channelBlock + (kind.resets ? 4 : 0));
}

export function forwardReads(variant: Variant): TensorName[] {
  const { D, z, deltaBias, resets, initialState, chunked, step } = variant;
  const names: (TensorName | false)[] = [
    ...(['u', 'delta', 'A', 'B', 'C'] as const),
    D && 'D',
    z && 'z',
    deltaBias && 'deltaBias',
    resets && 'resets',
    !step && !chunked && initialState && 'initialState',
  ];
  return names.filter((name) => name !== false);
}

/**
 * h_t = a_t h_{t-1} + dt_t B_t u_t and y_t = (sum_n C_t h_t + D u_t) silu(z_t) for one channel block over one chunk of
 * steps. A tile's inputs are staged in workgroup memory (the next tile's are already loading), every lane advances its
 * states through the tile, then the lanes' parts of y are summed in lane order.
 */
export function forwardKernel(variant: Variant): Pick<ScanKernel, 'label' | 'code' | 'buffers'> {
  const { lanes, channelBlock, tile, variableB, variableC, D, z, resets, chunked, step, initialState } = variant;
  const size = workgroupSize(variant);
  const own = Math.ceil(tile / lanes); // steps of its channel that an invocation stages
  const rows = Math.ceil(tile / channelBlock); // steps of its lane's B and C that it stages
  const writesState = !chunked && (variant.lastState || step);
  const ownStep = (q: number): string => (lanes === 1 ? `${q}u` : `(lane + ${q * lanes}u)`);
  const rowStep = (q: number): string => (channelBlock === 1 ? `${q}u` : `(c + ${q * channelBlock}u)`);
  const ifOwn = (q: number, body: string): string =>
    (q + 1) * lanes > tile ? `if (${ownStep(q)} < ${tile}u) { ${body} }` : body;
  const ifRow = (q: number, body: string): string =>
    (q + 1) * channelBlock > tile ? `if (${rowStep(q)} < ${tile}u) { ${body} }` : body;
  const load = (t0: string): string => `
    ${repeat(
      own,
      (q) => `u${q} = 0.0; delta${q} = 0.0; ${when(z, `z${q} = 0.0;`)}
    if (live && ${ownStep(q)} < ${tile}u && ${t0} + ${ownStep(q)} < end) {
      let at = (b * params.length + ${t0} + ${ownStep(q)}) * params.channels + channel;
      u${q} = load_u(at); delta${q} = load_delta(at) + bias; ${when(z, `z${q} = load_z(at);`)}
    }`,
    )}
    ${repeat(
      variableB || variableC || resets ? rows : 0,
      (q) => `
    ${when(resets, `keep${q} = 1.0;`)}
    if (${rowStep(q)} < ${tile}u && ${t0} + ${rowStep(q)} < end) {
      ${when(variableB || variableC, `let row = ${rowIndex(variant, `${t0} + ${rowStep(q)}`)};`)}
      ${when(variableB, `B${q} = load_B_state(row, lane);`)} ${when(variableC, `C${q} = load_C_state(row, lane);`)}
      ${when(resets, `keep${q} = load_resets(b * params.length + ${t0} + ${rowStep(q)});`)}
    }`,
    )}`;
  const stage = repeat(own, (q) =>
    ifOwn(
      q,
      `let dt = select(0.0, ${timeStepCode(variant, `delta${q}`)}, tile0 + ${ownStep(q)} < end);
      tileX[${ownStep(q)} * ${channelBlock}u + c] = vec2f(dt, dt * u${q});`,
    ).replace(/^/, '{ ').concat(' }'),
  );
  const stageRows = repeat(variableB || variableC || resets ? rows : 0, (q) =>
    ifRow(
      q,
      `${when(variableB, `tileB[${rowStep(q)} * ${lanes}u + lane] = B${q};`)}
      ${when(variableC, `tileC[${rowStep(q)} * ${lanes}u + lane] = C${q};`)}
      ${when(resets, `if (lane == 0u) { tileKeep[${rowStep(q)}] = keep${q}; }`)}`,
    ),
  );
  const finish = repeat(
    own,
    (q) => `
    if (live && ${ownStep(q)} < ${tile}u && tile0 + ${ownStep(q)} < end) {
      let at = (b * params.length + tile0 + ${ownStep(q)}) * params.channels + channel;
      var sum = ${D ? `skip * v${q}` : '0.0'};
      for (var k = 0u; k < ${lanes}u; k++) { sum += tileY[(${ownStep(q)} * ${lanes}u + k) * ${channelBlock}u + c]; }
      ${when(z, `sum *= w${q} * sigmoid(w${q});`)}
      store_y(at, sum);
    }`,
  );
  const body = `
var<workgroup> tileX: array<vec2f, ${tile * channelBlock}>;
${when(variableB, `var<workgroup> tileB: array<State, ${tile * lanes}>;`)}
${when(variableC, `var<workgroup> tileC: array<State, ${tile * lanes}>;`)}
${when(resets, `var<workgroup> tileKeep: array<f32, ${tile}>;`)}
var<workgroup> tileY: array<f32, ${tile * size}>;
${mainHead(size)}
  ${jobCode(variant, 'groupBlocks')}
  ${channelCode(variant, 'block')}
  var h = zeroState();
  ${when(D, 'var skip = 0.0;')}
  ${variableB ? '' : 'var B = zeroState();'}
  ${variableC ? '' : 'var C = zeroState();'}
  if (live) {
    ${when(D, 'skip = load_D(channel);')}
    ${variableB ? '' : 'B = load_B_state(coefficients, lane);'}
    ${variableC ? '' : 'C = load_C_state(coefficients, lane);'}
    ${
      chunked
        ? 'h = load_scratch_state(record + coefficients, lane);'
        : when(step, 'h = load_state_state(states, lane);') +
          when(!step && initialState, 'h = load_initialState_state(states, lane);')
    }
  }
  ${repeat(own, (q) => `var u${q} = 0.0; var delta${q} = 0.0; ${when(z, `var z${q} = 0.0;`)}`)}
  ${repeat(
    rows,
    (q) =>
      `${when(variableB, `var B${q} = zeroState();`)} ${when(variableC, `var C${q} = zeroState();`)} ${when(resets, `var keep${q} = 1.0;`)}`,
  )}
  ${load('begin')}
  for (var tile0 = begin; tile0 < end; tile0 += ${tile}u) {
    ${stage}
    ${stageRows}
    ${repeat(own, (q) => `${when(D, `let v${q} = u${q};`)} ${when(z, `let w${q} = z${q};`)}`)}
    workgroupBarrier();
    if (tile0 + ${tile}u < end) { ${load(`tile0 + ${tile}u`)} }
    for (var t = 0u; t < ${tile}u; t++) {
      let x = tileX[t * ${channelBlock}u + c];
      ${when(variableB, `let B = tileB[t * ${lanes}u + lane];`)}
      ${when(variableC, `let C = tileC[t * ${lanes}u + lane];`)}
      h = plus(mul(${resets ? 'times(tileKeep[t], decayOf(x.x, A))' : 'decayOf(x.x, A)'}, h), times(x.y, B));
      tileY[(t * ${lanes}u + lane) * ${channelBlock}u + c] = readout(C, h);
    }
    workgroupBarrier();
    ${finish}
  }
  ${when(writesState, `if (live) { store_${step ? 'state' : 'lastState'}_state(states, lane, h); }`)}
}
`;
  const reads = forwardReads(variant);
  return assembleKernel(variant, {
    label: step ? 'step' : chunked ? 'forward of chunks' : 'forward',
    reads,
    writes: ['y', ...(writesState && !step ? (['lastState'] as const) : [])],
    updates: step ? ['state'] : [],
    scratch: chunked,
    states: true,
    stateReads: [
      ...(['A', 'B', 'C'] as const),
      ...(chunked ? (['scratch'] as const) : []),
      ...(step ? (['state'] as const) : reads.includes('initialState') ? (['initialState'] as const) : []),
    ],
    stateWrites: step ? ['state'] : writesState ? ['lastState'] : [],
    body,
  });
}

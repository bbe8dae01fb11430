/** Fields of the parameter block: sizes, and where things lie in the scratch buffer, in float32 elements. */
export const paramNames = [
  'batch',
  'length',
  'channels',
  'groups',
  'groupChannels',
  'groupBlocks',
  'chunks',
  'chunkLength',
  // backward: workgroups that share a group's channel blocks, each with partial sums of its own
  'slots',
  // records: one row of `recordStride` elements per (batch, chunk), with these fields
  'records',
  'recordStride',
  'recordAdjoint',
  'recordDecay',
  'recordD',
  'recordBias',
  'recordC',
  // partial gradients of variable B and C, (slots, batch, length, groups, dState)
  'partB',
  'partC',
  // sums over `sumRows` records each: `sumGroups` rows of `sumWidth` elements
  'sums',
  'sumRows',
  'sumGroups',
  'sumWidth',
  // where packed inputs begin
  'packA',
  'packB',
  'packC',
  'packD',
  'packDeltaBias',
  'packInitialState',
  'packResets',
] as const;

export type ParamName = (typeof paramNames)[number];
export type Params = Record<ParamName, number>;

export const paramsCode: string = `
struct Params { ${paramNames.map((name) => `${name}: u32`).join(', ')} }
@group(0) @binding(0) var<uniform> params: Params;
`;

/** The block as the kernels read it. */
export function writeParams(params: Params): Uint32Array<ArrayBuffer> {
  const block = new Uint32Array(Math.ceil(paramNames.length / 4) * 4);
  paramNames.forEach((name, index) => (block[index] = params[name]));
  return block;
}

import { type ScanShape, stateWidth } from '@mamba-ts/scan';
import { type TensorName } from './types';
import { tensorElements } from './tensors';
import { type Params } from './wgsl/params';

/** Records that the first round of sums adds up at a time. */
const sumRows = 64;

export interface ScratchNeeds {
  readonly shape: ScanShape;
  readonly backward: boolean;
  readonly D: boolean;
  readonly deltaBias: boolean;
  readonly chunkLength: number;
  readonly chunks: number;
  readonly slots: number;
  readonly channelBlock: number;
  readonly packed: readonly TensorName[];
}

const packParams = {
  A: 'packA',
  B: 'packB',
  C: 'packC',
  D: 'packD',
  deltaBias: 'packDeltaBias',
  initialState: 'packInitialState',
  resets: 'packResets',
} as const;

export type PackableName = keyof typeof packParams;

/**
 * Where everything lies in the scratch buffer, in float32 elements. A record is what one (batch, chunk) keeps: the
 * chunk's state (dA, once read), sums for dD, d deltaBias and constant dC, adjoint (constant dB, once read), decay.
 */
export function layoutScratch(needs: ScratchNeeds): { params: Params; elements: number } {
  const { shape, backward, chunks, slots, channelBlock, packed } = needs;
  const { batch, length, channels, groups, dState, complex, variableB, variableC } = shape;
  const coefficients = channels * dState * stateWidth(shape);
  const rows = batch * length * groups * dState * stateWidth(shape);
  const params: Params = {
    ...{ batch, length, channels, groups, chunks, slots, chunkLength: needs.chunkLength },
    groupChannels: channels / groups,
    groupBlocks: Math.ceil(channels / groups / channelBlock),
    ...{ records: 0, recordStride: 0, recordAdjoint: 0, recordDecay: 0, recordD: 0, recordBias: 0, recordC: 0 },
    ...{ partB: 0, partC: 0, sums: 0, sumRows, sumGroups: 0, sumWidth: 0 },
    ...{ packA: 0, packB: 0, packC: 0, packD: 0, packDeltaBias: 0, packInitialState: 0, packResets: 0 },
  };
  let elements = 0;
  const take = (count: number): number => {
    const at = elements;
    elements += Math.ceil(count / 4) * 4;
    return at;
  };
  for (const name of packed) params[packParams[name as PackableName]] = take(tensorElements(shape, name));
  if (backward || chunks > 1) {
    let stride = coefficients;
    const field = (count: number): number => {
      stride += count;
      return stride - count;
    };
    if (backward) {
      if (needs.D) params.recordD = field(channels);
      if (needs.deltaBias) params.recordBias = field(channels);
      if (!variableC) params.recordC = field(coefficients);
      params.sumWidth = stride;
      params.recordAdjoint = field(coefficients);
      if (!variableB) params.sumWidth = stride;
    }
    params.recordDecay = field(complex ? coefficients : channels);
    params.recordStride = Math.ceil(stride / 4) * 4;
    params.records = take(batch * chunks * params.recordStride);
  }
  if (backward) {
    if (variableB) params.partB = take(slots * rows);
    if (variableC) params.partC = take(slots * rows);
    if (batch * chunks > sumRows) {
      params.sumGroups = Math.ceil((batch * chunks) / sumRows);
      params.sums = take(params.sumGroups * params.sumWidth);
    }
  }
  return { params, elements };
}

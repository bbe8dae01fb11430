import type { RefArray, ReferenceRoutine } from '../array';

/**
 * Calls `visit(out, input, fromInitial, weight)` for every tap of every output: flat positions of y, of x (or of `initial`) and of the weight.
 * A tap never reaches across a reset.
 */
function forEachTap(
  x: RefArray,
  weight: RefArray,
  initial: RefArray | null,
  resets: RefArray | null,
  visit: (out: number, input: number, fromInitial: boolean, weight: number) => void,
): void {
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  for (let b = 0; b < batch; b++) {
    let start = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < length; t++) {
      if (resets && resets.data[b * length + t] !== 0) start = t;
      for (let j = 0; j < width; j++) {
        const from = t - (width - 1) + j;
        if (from < start || (from < 0 && !initial)) continue;
        for (let c = 0; c < channels; c++) {
          const input = from >= 0 ? (b * length + from) * channels + c : (b * (width - 1) + from + width - 1) * channels + c;
          visit((b * length + t) * channels + c, input, from < 0, c * width + j);
        }
      }
    }
  }
}

/** y_t = bias + Σ_j weight_j x_{t-(width-1)+j} */
export const causalConv1d: ReferenceRoutine = (inputs, [y]) => {
  const [x, weight, bias, initial, resets] = inputs;
  const channels = (x as RefArray).shape[2];
  if (bias) for (let i = 0; i < y.data.length; i++) y.data[i] = bias.data[i % channels];
  forEachTap(x as RefArray, weight as RefArray, initial, resets, (out, input, fromInitial, w) => {
    y.data[out] += (weight as RefArray).data[w] * (fromInitial ? (initial as RefArray) : (x as RefArray)).data[input];
  });
};

export const causalConv1dBackward: ReferenceRoutine = (inputs, [gradX, gradWeight, gradBias, gradInitial]) => {
  const [gradY, x, weight, initial, resets] = inputs;
  const g = (gradY as RefArray).data;
  const channels = (x as RefArray).shape[2];
  for (let i = 0; i < g.length; i++) gradBias.data[i % channels] += g[i];
  forEachTap(x as RefArray, weight as RefArray, initial, resets, (out, input, fromInitial, w) => {
    (fromInitial ? gradInitial : gradX).data[input] += (weight as RefArray).data[w] * g[out];
    gradWeight.data[w] += (fromInitial ? (initial as RefArray) : (x as RefArray)).data[input] * g[out];
  });
};

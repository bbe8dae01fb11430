import type { ReferenceRoutine } from '../array';

/** Calls `visit` for every tap that y_t sees: weight column j, and the step it lies on (negative: `initial`). */
function forEachTap(
  width: number,
  t: number,
  resets: ArrayLike<number> | undefined,
  row: number,
  visit: (j: number, step: number) => void,
): void {
  for (let d = 0; d < width; d++) {
    // Going back over a step that is reset is forbidden.
    if (d > 0 && resets && t - d + 1 >= 0 && resets[row + t - d + 1] !== 0) return;
    visit(width - 1 - d, t - d);
  }
}

/** Inputs x, weight, bias, initial, resets; output y, through SiLU with attribute silu. */
export const causalConv1d: ReferenceRoutine = ([x, weight, bias, initial, resets], [y], { silu }) => {
  if (!x || !weight) throw new TypeError('causalConv1d: x and weight are required');
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let c = 0; c < channels; c++) {
        let sum = bias ? bias.data[c] : 0;
        forEachTap(width, t, resets?.data, b * length, (j, step) => {
          if (step >= 0) sum += weight.data[c * width + j] * x.data[(b * length + step) * channels + c];
          else if (initial)
            sum += weight.data[c * width + j] * initial.data[(b * (width - 1) + width - 1 + step) * channels + c];
        });
        y.data[(b * length + t) * channels + c] = silu ? sum / (1 + Math.exp(-sum)) : sum;
      }
    }
  }
};

/** Inputs gradY, x, weight, initial, resets and, with attribute silu, bias; outputs the gradients of x, weight, bias and initial. */
export const causalConv1dBackward: ReferenceRoutine = (
  [gradY, x, weight, initial, resets, bias],
  [gradX, gradWeight, gradBias, gradInitial],
  { silu },
) => {
  if (!gradY || !x || !weight) throw new TypeError('causalConv1dBackward: gradY, x and weight are required');
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let c = 0; c < channels; c++) {
        let g = gradY.data[(b * length + t) * channels + c];
        if (silu) {
          let y = bias ? bias.data[c] : 0;
          forEachTap(width, t, resets?.data, b * length, (j, step) => {
            if (step >= 0) y += weight.data[c * width + j] * x.data[(b * length + step) * channels + c];
            else if (initial)
              y += weight.data[c * width + j] * initial.data[(b * (width - 1) + width - 1 + step) * channels + c];
          });
          const sigmoid = 1 / (1 + Math.exp(-y));
          g *= sigmoid * (1 + y * (1 - sigmoid));
        }
        gradBias.data[c] += g;
        forEachTap(width, t, resets?.data, b * length, (j, step) => {
          const from = step >= 0 ? x : initial;
          if (!from) return;
          const at =
            step >= 0 ? (b * length + step) * channels + c : (b * (width - 1) + width - 1 + step) * channels + c;
          gradWeight.data[c * width + j] += g * from.data[at];
          (step >= 0 ? gradX : gradInitial).data[at] += g * weight.data[c * width + j];
        });
      }
    }
  }
};

import type { RefArray, ReferenceRoutine } from '../array';

/** Visits (flat position t, flat position t - j, flat position of tap j) for all j ≤ t. */
function forEachPair(shape: RefArray['shape'], taps: number, visit: (at: number, back: number, tap: number) => void): void {
  const [batch, length, channels] = shape;
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j <= Math.min(t, taps - 1); j++) {
        for (let c = 0; c < channels; c++) visit((b * length + t) * channels + c, (b * length + t - j) * channels + c, j * channels + c);
      }
    }
  }
}

/** y_t = Σ_j kernel_j u_{t-j} */
export const longConv: ReferenceRoutine = (inputs, [y]) => {
  const [u, kernel] = inputs as readonly RefArray[];
  forEachPair(u.shape, kernel.shape[0], (at, back, tap) => {
    y.data[at] += kernel.data[tap] * u.data[back];
  });
};

/** gradU_{t-j} += kernel_j gradY_t */
export const longConvGradInput: ReferenceRoutine = (inputs, [gradU]) => {
  const [gradY, kernel] = inputs as readonly RefArray[];
  forEachPair(gradY.shape, kernel.shape[0], (at, back, tap) => {
    gradU.data[back] += kernel.data[tap] * gradY.data[at];
  });
};

/** gradKernel_j += gradY_t u_{t-j} */
export const longConvGradKernel: ReferenceRoutine = (inputs, [gradKernel]) => {
  const [gradY, u] = inputs as readonly RefArray[];
  forEachPair(u.shape, gradKernel.shape[0], (at, back, tap) => {
    gradKernel.data[tap] += gradY.data[at] * u.data[back];
  });
};

import type { ReferenceRoutine } from '../array';

/** Inputs u (batch, length, channels), kernel (taps, channels): y_t = sum_j kernel_j u_{t-j}. */
export const longConv: ReferenceRoutine = ([u, kernel], [y]) => {
  if (!u || !kernel) throw new TypeError('longConv: u and kernel are required');
  const [batch, length, channels] = u.shape;
  const taps = kernel.shape[0];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j <= Math.min(t, taps - 1); j++) {
        for (let c = 0; c < channels; c++) {
          y.data[(b * length + t) * channels + c] +=
            kernel.data[j * channels + c] * u.data[(b * length + t - j) * channels + c];
        }
      }
    }
  }
};

/** Inputs gradY, kernel: gradU_t = sum_j kernel_j gradY_{t+j}. */
export const longConvGradInput: ReferenceRoutine = ([gradY, kernel], [gradU]) => {
  if (!gradY || !kernel) throw new TypeError('longConvGradInput: gradY and kernel are required');
  const [batch, length, channels] = gradY.shape;
  const taps = kernel.shape[0];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j < Math.min(taps, length - t); j++) {
        for (let c = 0; c < channels; c++) {
          gradU.data[(b * length + t) * channels + c] +=
            kernel.data[j * channels + c] * gradY.data[(b * length + t + j) * channels + c];
        }
      }
    }
  }
};

/** Inputs gradY, u: gradKernel_j = sum over the batch and t of gradY_t u_{t-j}. */
export const longConvGradKernel: ReferenceRoutine = ([gradY, u], [gradKernel]) => {
  if (!gradY || !u) throw new TypeError('longConvGradKernel: gradY and u are required');
  const [batch, length, channels] = u.shape;
  const taps = gradKernel.shape[0];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let j = 0; j <= Math.min(t, taps - 1); j++) {
        for (let c = 0; c < channels; c++) {
          gradKernel.data[j * channels + c] +=
            gradY.data[(b * length + t) * channels + c] * u.data[(b * length + t - j) * channels + c];
        }
      }
    }
  }
};

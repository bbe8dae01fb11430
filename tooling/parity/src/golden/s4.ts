import { checkTwoSided } from './convolution';
import { checkDiscretization } from './discretization';
import type { GoldenChecker } from './golden-case';
import { checkFrequencies, checkHippo, checkInits } from './hippo';
import { checkNormVariants } from './norms';
import { checkLowRank } from './s4-dplr';
import { checkInitialState, checkKernel, checkKernelGradients, checkVandermonde } from './s4d';
import { checkTimeSteps } from './time-steps';

/** Section 1 of the index: S4 (DPLR) and S4D. */
export const s4Checkers: readonly GoldenChecker[] = [
  { prefix: 'hippo_legs_nplr_', check: checkHippo },
  { prefix: 'hippo_legs_eig_imag_', check: checkFrequencies },
  { prefix: 's4d_inits_', check: checkInits },
  { prefix: 'discretize_scalar', check: checkDiscretization },
  ...['s4d_lin_kernel_', 's4d_inv_kernel_', 's4d_quad_kernel_', 's4d_legs_kernel_', 's4d_real_kernel_'].map(
    (prefix) => ({ prefix, check: checkKernel }),
  ),
  { prefix: 'log_vandermonde', check: checkVandermonde },
  { prefix: 's4d_initial_state_response', check: checkInitialState },
  { prefix: 's4d_kernel_gradients', check: checkKernelGradients },
  { prefix: 's4_legs_kernel_', check: checkLowRank },
  { prefix: 's4_linear_step_', check: checkLowRank },
  { prefix: 'bidirectional_conv', check: checkTwoSided },
  { prefix: 'dt_init', check: checkTimeSteps },
  { prefix: 'norm_variants', check: checkNormVariants },
];

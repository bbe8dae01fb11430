import { type GoldenChecker, waiting } from './golden-case';

/** Section 1 of the index: S4 (DPLR) and S4D. */
export const s4Checkers: readonly GoldenChecker[] = waiting(
  'hippo_legs_nplr_',
  'hippo_legs_eig_imag_',
  's4d_inits_',
  'discretize_scalar',
  's4d_lin_kernel_',
  's4d_inv_kernel_',
  's4d_legs_kernel_',
  's4d_real_kernel_',
  'log_vandermonde',
  's4d_initial_state_response',
  's4d_kernel_gradients',
  's4_legs_kernel_',
  's4_linear_step_',
  'bidirectional_conv',
  'dt_init',
  'norm_variants',
);

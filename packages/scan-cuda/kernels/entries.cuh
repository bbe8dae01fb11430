// Names of the kernels: KIND_DTYPE_LAYOUT.
#pragma once
#include <type_traits>
#include "adjoint-whole.cuh"
#include "adjoint.cuh"
#include "backward.cuh"
#include "forward-split.cuh"
#include "forward.cuh"

#define SCAN_KERNELS(NAME, E, COMPLEX, K, S, MASKED, BLOCKS)                                                               \
  extern "C" __global__ void __launch_bounds__(512, 1) forward_split_##NAME(const __grid_constant__ ScanArguments p) {     \
    forwardSplit<Layout<E, COMPLEX, K, S, MASKED>>(p);                                                                   \
  }                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(512, 1) adjoint_split_##NAME(const __grid_constant__ ScanArguments p) {           \
    adjointScan<Layout<E, COMPLEX, K, S, MASKED>>(p);                                                                      \
  }                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(128, BLOCKS) backward_##NAME(const __grid_constant__ ScanArguments p) {     \
    backwardScan<Layout<E, COMPLEX, K, S, MASKED>>(p);                                                                     \
  }

// Warps: of a multiprocessor. Forward has them in blocks of 4 or 8.
#define SCAN_KERNELS_WHOLE(NAME, E, K, S, R, WARPS)                                                                        \
  extern "C" __global__ void __launch_bounds__(32 * WARPS, 1) forward_##NAME(const __grid_constant__ ScanArguments p) {    \
    forwardWhole<Layout<E, false, K, S, false, R>, false>(p);                                                              \
  }                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(32 * WARPS, 1) ends_##NAME(const __grid_constant__ ScanArguments p) {       \
    forwardWhole<Layout<E, false, K, S, false, R>, true>(p);                                                               \
  }                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(128, WARPS / 4) adjoint_##NAME(const __grid_constant__ ScanArguments p) {      \
    adjointWhole<Layout<E, false, K, S, false, R>, false>(p);                                                              \
  }                                                                                                                        \
  extern "C" __global__ void __launch_bounds__(128, WARPS / 4) adjoint_ends_##NAME(const __grid_constant__ ScanArguments p) { \
    adjointWhole<Layout<E, false, K, S, false, R>, true>(p);                                                               \
  }

#define SCAN_KERNELS_BACKWARD(NAME, E, K, S, T, SLICES, BLOCKS)                                                            \
  extern "C" __global__ void __launch_bounds__(32 * SLICES, BLOCKS) backward_##NAME(const __grid_constant__ ScanArguments p) { \
    backwardScan<Layout<E, false, K, S, false, 1, T, SLICES>>(p);                                                          \
  }

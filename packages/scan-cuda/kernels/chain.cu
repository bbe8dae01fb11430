// Real A, 16 states, variable B and C: kernels whose warps hand states on.
#include <type_traits>
#include "backward-chain.cuh"
#include "forward-chain.cuh"

#define FORWARD_CHAIN(NAME, E, K, S, R, T, AHEAD, THREADS)                                                                 \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) forward_chain_##NAME(const __grid_constant__ ScanArguments p) { \
    forwardChain<Layout<E, false, K, S, false, R, T>, AHEAD>(p);                                                           \
  }
#define BACKWARD_CHAIN(NAME, E, K, S, T, THREADS)                                                                          \
  extern "C" __global__ void __launch_bounds__(THREADS, 1) backward_chain_##NAME(const __grid_constant__ ScanArguments p) { \
    backwardChain<Layout<E, false, K, S, false, 1, T>>(p);                                                                 \
  }

// Last letter of a forward chain's layout: a, walks ahead; c, does not.
#define CHAINS(DTYPE, E)                                       \
  FORWARD_CHAIN(DTYPE##_n16k4r2t8c, E, 4, 4, 2, 8, false, 256)  \
  FORWARD_CHAIN(DTYPE##_n16k4r1t16c, E, 4, 4, 1, 16, false, 256) \
  FORWARD_CHAIN(DTYPE##_n16k4r1t8a, E, 4, 4, 1, 8, true, 512)   \
  FORWARD_CHAIN(DTYPE##_n16k8r3t8c, E, 8, 2, 3, 8, false, 256)  \
  BACKWARD_CHAIN(DTYPE##_n16k4t8, E, 4, 4, 8, 256)            \
  BACKWARD_CHAIN(DTYPE##_n16k8t16, E, 8, 2, 16, 256)          \
  BACKWARD_CHAIN(DTYPE##_n16k8t8, E, 8, 2, 8, 384)

CHAINS(bf16, Bf16)
CHAINS(f32, float)

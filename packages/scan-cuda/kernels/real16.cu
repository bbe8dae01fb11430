// Real A, 16 states, variable B and C: Mamba's scan.
#include <type_traits>
#include "entries.cuh"

SCAN_KERNELS(bf16_n16k4, Bf16, false, 4, 4, false, 2)
SCAN_KERNELS(bf16_n16k8, Bf16, false, 8, 2, false, 2)
SCAN_KERNELS(f32_n16k4, float, false, 4, 4, false, 2)
SCAN_KERNELS(f32_n16k8, float, false, 8, 2, false, 2)

SCAN_KERNELS_WHOLE(bf16_n16k4, Bf16, 4, 4, 1, 16)
SCAN_KERNELS_WHOLE(bf16_n16k4r2, Bf16, 4, 4, 2, 12)
SCAN_KERNELS_WHOLE(f32_n16k4, float, 4, 4, 1, 16)
SCAN_KERNELS_WHOLE(f32_n16k4r2, float, 4, 4, 2, 12)

extern "C" __global__ void __launch_bounds__(128) combine_forward(const __grid_constant__ ScanArguments p) { combineSegments<false>(p); }
extern "C" __global__ void __launch_bounds__(128) combine_adjoint(const __grid_constant__ ScanArguments p) { combineSegments<true>(p); }

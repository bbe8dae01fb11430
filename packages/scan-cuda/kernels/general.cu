// Any sizes and alignment, real and complex A, constant and variable B and C; the sums over rows; the single step.
#include <type_traits>
#include "entries.cuh"
#include "reduce.cuh"
#include "step.cuh"

SCAN_KERNELS(bf16_real32, Bf16, false, 8, 4, true, 2)
SCAN_KERNELS(bf16_real256, Bf16, false, 32, 8, true, 2)
SCAN_KERNELS(bf16_complex16, Bf16, true, 8, 2, true, 2)
SCAN_KERNELS(bf16_complex256, Bf16, true, 32, 8, true, 2)
SCAN_KERNELS(f32_real32, float, false, 8, 4, true, 2)
SCAN_KERNELS(f32_real256, float, false, 32, 8, true, 2)
SCAN_KERNELS(f32_complex16, float, true, 8, 2, true, 2)
SCAN_KERNELS(f32_complex256, float, true, 32, 8, true, 2)

extern "C" __global__ void __launch_bounds__(128) reduce_rows(const __grid_constant__ ReduceArguments p) { reduceRows(p); }

extern "C" __global__ void __launch_bounds__(128) step_bf16_real(const __grid_constant__ ScanArguments p) { stateUpdate<Bf16, false>(p); }
extern "C" __global__ void __launch_bounds__(128) step_bf16_complex(const __grid_constant__ ScanArguments p) { stateUpdate<Bf16, true>(p); }
extern "C" __global__ void __launch_bounds__(128) step_f32_real(const __grid_constant__ ScanArguments p) { stateUpdate<float, false>(p); }
extern "C" __global__ void __launch_bounds__(128) step_f32_complex(const __grid_constant__ ScanArguments p) { stateUpdate<float, true>(p); }

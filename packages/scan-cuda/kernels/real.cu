// Real A, variable B and C, other common numbers of states.
#include <type_traits>
#include "entries.cuh"

SCAN_KERNELS(bf16_n8k2, Bf16, false, 2, 4, false, 2)
SCAN_KERNELS(bf16_n32k8, Bf16, false, 8, 4, false, 2)
SCAN_KERNELS(bf16_n64k16, Bf16, false, 16, 4, false, 2)
SCAN_KERNELS(bf16_n128k32, Bf16, false, 32, 4, false, 2)
SCAN_KERNELS(f32_n8k2, float, false, 2, 4, false, 2)
SCAN_KERNELS(f32_n32k8, float, false, 8, 4, false, 2)
SCAN_KERNELS(f32_n64k16, float, false, 16, 4, false, 2)
SCAN_KERNELS(f32_n128k32, float, false, 32, 4, false, 2)

#include "matmul-narrow.cuh"

// Wide and slim tiles; float32 comes in parts of projections, which are small.
NARROW(Bf16, bf16, 64, 32, 2, 2, 2) NARROW(Bf16, bf16, 64, 32, 2, 1, 4) NARROW(Bf16, bf16, 64, 16, 2, 1, 2)
NARROW(Bf16, bf16, 32, 32, 1, 1, 4) NARROW(Bf16, bf16, 32, 16, 1, 1, 4)
NARROW(float, f32, 32, 32, 1, 1, 4) NARROW(float, f32, 32, 16, 1, 1, 4)

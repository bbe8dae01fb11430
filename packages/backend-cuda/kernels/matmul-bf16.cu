#include "matmul-half.cuh"

HALF_LAYOUTS(Bf16, bf16)

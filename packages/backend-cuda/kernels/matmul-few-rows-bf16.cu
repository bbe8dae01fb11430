#include "matmul-few-rows.cuh"

FEW_ROWS_SIZES(float, f32, Bf16, bf16)
FEW_ROWS_SIZES(Bf16, bf16, Bf16, bf16)

#include "matmul-few-rows.cuh"

FEW_ROWS_SIZES(float, f32, Half, f16)
FEW_ROWS_SIZES(Half, f16, Half, f16)

#include "matmul-few-rows.cuh"

FEW_ROWS_SIZES(float, f32, float, f32)

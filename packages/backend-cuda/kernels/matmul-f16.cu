#include "matmul-half.cuh"

HALF_LAYOUTS(Half, f16)

// arch: compute_90a
#define NARROW_HOPPER
#include "matmul-narrow.cuh"
#include "matmul-narrow-stream.cuh"

NARROW(float, f32, 32, 32, 1, 1, 4) NARROW(float, f32, 32, 16, 1, 1, 4)
NARROW_STREAM(1, 64) NARROW_STREAM(1, 32) NARROW_STREAM(1, 16)
NARROW_STREAM(2, 64) NARROW_STREAM(2, 32) NARROW_STREAM(2, 16)

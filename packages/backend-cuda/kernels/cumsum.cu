// Running sums along the middle axis of (rows, length, width).
#include "fault.cuh"

/// One thread per row and column: neighbours read neighbouring columns.
extern "C" __global__ void cumsum_columns(const float *x, float *out, const Fault *fault, long long columns, int length, int width, int reverse) {
  const long long column = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (column >= columns || faulted(fault)) return;
  const long long base = column / width * length * width + column % width;
  float sum = 0.0f;
#pragma unroll 4
  for (int i = 0; i < length; ++i) {
    const long long at = base + static_cast<long long>(reverse ? length - 1 - i : i) * width;
    sum += x[at];
    out[at] = sum;
  }
}

/// One block of 256 threads per row and column: 1024 elements at a time.
extern "C" __global__ void cumsum_block(const float *x, float *out, const Fault *fault, int length, int width, int reverse) {
  __shared__ float warps[8];
  if (faulted(fault)) return;
  const long long column = blockIdx.x;
  const long long base = column / width * length * width + column % width;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float carried = 0.0f;
  for (int first = 0; first < length; first += 1024) {
    float own[4];
    float total = 0.0f;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int i = first + 4 * threadIdx.x + k;
      if (i < length) total += x[base + static_cast<long long>(reverse ? length - 1 - i : i) * width];
      own[k] = total;
    }
    float before = total;
    for (int offset = 1; offset < 32; offset *= 2) {
      const float other = __shfl_up_sync(~0u, before, offset);
      if (lane >= offset) before += other;
    }
    if (lane == 31) warps[warp] = before;
    __syncthreads();
    float start = carried;
    for (int w = 0; w < 8; ++w) {
      if (w < warp) start += warps[w];
      carried += warps[w];
    }
    start += before - total;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int i = first + 4 * threadIdx.x + k;
      if (i < length) out[base + static_cast<long long>(reverse ? length - 1 - i : i) * width] = start + own[k];
    }
    __syncthreads();
  }
}

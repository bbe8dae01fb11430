// Rows of a table at given ids.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include "fault.cuh"

namespace {

template <typename T>
__device__ void gather(const T *table, const int *ids, float *out, Fault *fault, int rows, int width, long long count) {
  const long long total = count * width;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < total; i += (long long)gridDim.x * blockDim.x) {
    const int position = static_cast<int>(i / width), column = static_cast<int>(i % width);
    int id = ids[position];
    if (id < 0 || id >= rows) {
      if (column == 0) raiseFault(fault, 1, id, position, rows);
      out[i] = 0.0f;
      continue;
    }
    out[i] = static_cast<float>(table[static_cast<long long>(id) * width + column]);
  }
}

}  // namespace

extern "C" __global__ void gather_f32(const float *table, const int *ids, float *out, Fault *fault, int rows, int width, long long count) {
  gather(table, ids, out, fault, rows, width, count);
}
extern "C" __global__ void gather_bf16(const __nv_bfloat16 *table, const int *ids, float *out, Fault *fault, int rows, int width, long long count) {
  gather(table, ids, out, fault, rows, width, count);
}
extern "C" __global__ void gather_f16(const __half *table, const int *ids, float *out, Fault *fault, int rows, int width, long long count) {
  gather(table, ids, out, fault, rows, width, count);
}

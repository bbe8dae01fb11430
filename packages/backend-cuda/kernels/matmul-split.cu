// A float32 matrix as the sum of three bfloat16 ones, whose products with bfloat16 matrices the tensor cores add up to float32's precision.
#include "matmul-arguments.cuh"

// out: (3, m, k), the largest part first.
extern "C" __global__ void __launch_bounds__(256) split_bf16(const __grid_constant__ MatmulArguments p) {
  const long long count = p.m * p.k;
  Bf16 *const out = static_cast<Bf16 *>(p.out);
  for (long long at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += static_cast<long long>(gridDim.x) * blockDim.x) {
    float rest = static_cast<const float *>(p.a)[at / p.k * p.rowA + at % p.k];
#pragma unroll
    for (int part = 0; part < 3; part++) {
      const Bf16 rounded = fromFloat<Bf16>(rest);
      out[part * count + at] = rounded;
      // Infinities and NaN are whole in the first part.
      rest = isfinite(toFloat(rounded)) ? rest - toFloat(rounded) : 0.f;
    }
  }
}

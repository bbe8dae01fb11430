// A float32 product as three TF32 products: what the kernels that compute it so share. Each operand is the sum of two TF32 numbers (11 bits each, the
// second of what the first leaves), a·b the sum of three products; the fourth is below float32's last bit.
#pragma once
#include "matmul-arguments.cuh"

namespace {

__device__ __forceinline__ uint32_t sharedAddress(const void *p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// 16 bytes into shared memory, zeros where not `valid`; completes with its group.
__device__ __forceinline__ void copyAsync(uint32_t to, const void *from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16 : 0));
}

// x = high + low: the first rounded to 11 bits, the second cut off by the tensor cores where it has 12. An infinity gives NaN, see `exactly`.
__device__ __forceinline__ void split(uint32_t x, uint32_t &high, uint32_t &low) {
  high = (x + 0x1000u) & 0xffffe000u;
  low = __float_as_uint(__uint_as_float(x) - __uint_as_float(high));
}

// Four matrices of 8 rows x 4 numbers, whose rows lie at the lanes' addresses (of shared memory): this lane gets number lane % 4 of row lane / 4 of each.
__device__ __forceinline__ void loadMatrices(uint32_t (&to)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];" : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(from) : "memory");
}

// The sum as ordinary arithmetic has it, for those that came out as NaN: operands that are infinite, or round up to infinity, have no two parts.
template <bool AlongA, bool AlongB> __device__ __forceinline__ float exactly(const MatmulArguments &p, int matrix, int row, int column, int kBegin, int kEnd) {
  const float *a = static_cast<const float *>(p.a) + matrix * p.strideA, *b = static_cast<const float *>(p.b) + matrix * p.strideB;
  float sum = 0.f;
  for (long long t = kBegin; t < kEnd && sum == sum; t++)
    sum = fmaf(a[AlongA ? row * p.rowA + t : t * p.rowA + row], b[AlongB ? column * p.k + t : t * p.n + column], sum);
  return sum;
}

}  // namespace

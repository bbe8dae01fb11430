// Products by four warps together on Hopper's tensor cores (wgmma), both operands in bfloat16 in shared memory. They run beside what follows them.
#pragma once
#include <cstdint>

// What this thread wrote to shared memory is for the tensor cores to read, after the next barrier.
__device__ __forceinline__ void sharedIsForTensorCores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// An operand whose rows are 64 terms, 128 bytes, and whose chunks of 16 bytes lie at (chunk ^ row % 8): a multiple of 8 rows from an address that is a
// multiple of 1024. Address and the way to the next eight rows in units of 16 bytes, and the kind of order.
__device__ __forceinline__ uint64_t operandOf(uint32_t address) {
  return static_cast<uint64_t>(address / 16 & 0x3fff) | static_cast<uint64_t>(1) << 16 | static_cast<uint64_t>(1024 / 16) << 32 | static_cast<uint64_t>(1) << 62;
}

// d (64 x N) += a (64 x 16) · b (16 x N), N rows of the second operand. Warp w of the four has rows 16 w to 16 w + 15 of d, as multiply() of
// tensor-core.cuh has them; the operands are those of the first terms of a row, plus 2 for each 16 terms.
template <int N> struct GroupProduct;
template <> struct GroupProduct<16> {
  static __device__ __forceinline__ void multiply(float (&d)[2][4], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, 1, 1, 1, 0, 0;"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3])
        : "l"(a), "l"(b));
  }
};
template <> struct GroupProduct<32> {
  static __device__ __forceinline__ void multiply(float (&d)[4][4], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, %16, %17, 1, 1, 1, 0, 0;"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3])
        : "l"(a), "l"(b));
  }
};
template <> struct GroupProduct<64> {
  static __device__ __forceinline__ void multiply(float (&d)[8][4], uint64_t a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, 1, 1, 1, 0, 0;"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
        : "l"(a), "l"(b));
  }
};

// d += a · b over the 64 terms of a row; complete behind awaitProducts.
template <int N> __device__ __forceinline__ void multiplyRows(float (&d)[N / 8][4], uint32_t a, uint32_t b) {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  const uint64_t rowsA = operandOf(a), rowsB = operandOf(b);
#pragma unroll
  for (int step = 0; step < 4; step++) GroupProduct<N>::multiply(d, rowsA + 2 * step, rowsB + 2 * step);
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// All but the last multiplyRows are complete: what they read may be overwritten.
__device__ __forceinline__ void awaitAllButLast() { asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory"); }
template <int N> __device__ __forceinline__ void awaitProducts(float (&d)[N / 8][4]) {
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  // The compiler must not move accesses to the sums across.
#pragma unroll
  for (int j = 0; j < N / 8; j++)
#pragma unroll
    for (int l = 0; l < 4; l++) asm volatile("" : "+f"(d[j][l])::"memory");
}

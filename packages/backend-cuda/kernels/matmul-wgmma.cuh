// Hopper's products of 64 rows by N columns over 8 terms in TF32, by four warps together: a in registers, b in shared memory.
#pragma once
#include "matmul-three-tf32.cuh"

namespace {

// What this thread wrote to shared memory is for the tensor cores to read, after the next barrier.
__device__ __forceinline__ void sharedIsForTensorCores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Column of the result that column `at` of b in shared memory computes: in this order four sums of a lane are neighbours.
__device__ __forceinline__ int columnOf(int at) { return at / 16 * 16 + at % 8 / 2 * 4 + at / 8 % 2 * 2 + at % 2; }

// Waits until no more than `pending` groups of copies (0 to 7) are on their way.
__device__ __forceinline__ void waitForCopies(int pending) {
  switch (pending) {
    case 0: asm volatile("cp.async.wait_group 0;" ::: "memory"); break;
    case 1: asm volatile("cp.async.wait_group 1;" ::: "memory"); break;
    case 2: asm volatile("cp.async.wait_group 2;" ::: "memory"); break;
    case 3: asm volatile("cp.async.wait_group 3;" ::: "memory"); break;
    case 4: asm volatile("cp.async.wait_group 4;" ::: "memory"); break;
    case 5: asm volatile("cp.async.wait_group 5;" ::: "memory"); break;
    case 6: asm volatile("cp.async.wait_group 6;" ::: "memory"); break;
    default: asm volatile("cp.async.wait_group 7;" ::: "memory"); break;
  }
}

// Terms 8·step to 8·step + 7 of b in shared memory, stored as [term / 4][column][term % 4]: 8 columns x 4 terms are 128 bytes in a row, the next
// 8 columns follow behind them, the next 4 terms behind all columns. In units of 16 bytes: where it starts, the way to the next terms, to the next columns.
template <int N> __device__ __forceinline__ uint64_t operandB(uint32_t address, int step) {
  return static_cast<uint64_t>((address + step * 2 * N * 16) / 16 & 0x3fff) | static_cast<uint64_t>(N) << 16 | static_cast<uint64_t>(128 / 16) << 32;
}

// Writes terms 4·group to 4·group + 3 of a column there: high parts, and low parts `partBytes` behind them.
template <int N> __device__ __forceinline__ void storeOperandB(unsigned char *to, int partBytes, int group, int column, const float (&v)[4]) {
  uint32_t high[4], low[4];
#pragma unroll
  for (int e = 0; e < 4; e++) split(__float_as_uint(v[e]), high[e], low[e]);
  to += (group * N + column) * 16;
  *reinterpret_cast<uint4 *>(to) = make_uint4(high[0], high[1], high[2], high[3]);
  *reinterpret_cast<uint4 *>(to + partBytes) = make_uint4(low[0], low[1], low[2], low[3]);
}

template <int N> struct WgmmaGroup {
  // Before the first product: registers and shared memory are as they were written.
  static __device__ __forceinline__ void fence(float (&d)[N / 8][4]) {
    keep(d);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
  static __device__ __forceinline__ void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
  static __device__ __forceinline__ void wait(float (&d)[N / 8][4]) {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    keep(d);
  }

 private:
  // The compiler must not move accesses to the sums across.
  static __device__ __forceinline__ void keep(float (&d)[N / 8][4]) {
#pragma unroll
    for (int j = 0; j < N / 8; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) asm volatile("" : "+f"(d[j][l])::"memory");
  }
};

// d (N / 8 times rows lane / 4 and lane / 4 + 8, columns lane % 4 · 2 and the next) = a · b, plus d where `adds`.
template <int N> struct Wgmma;
template <> struct Wgmma<16> : WgmmaGroup<16> {
  static __device__ __forceinline__ void multiply(float (&d)[2][4], const uint32_t (&a)[4], uint64_t b, bool adds) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %13, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n16k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7}, {%8, %9, %10, %11}, %12, p, 1, 1; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<uint32_t>(adds)));
  }
};

template <> struct Wgmma<32> : WgmmaGroup<32> {
  static __device__ __forceinline__ void multiply(float (&d)[4][4], const uint32_t (&a)[4], uint64_t b, bool adds) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %21, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n32k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, {%16, %17, %18, %19}, %20, p, 1, 1; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<uint32_t>(adds)));
  }
};

template <> struct Wgmma<48> : WgmmaGroup<48> {
  static __device__ __forceinline__ void multiply(float (&d)[6][4], const uint32_t (&a)[4], uint64_t b, bool adds) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %29, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n48k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23}, {%24, %25, %26, %27}, %28, p, 1, 1; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<uint32_t>(adds)));
  }
};

template <> struct Wgmma<64> : WgmmaGroup<64> {
  static __device__ __forceinline__ void multiply(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b, bool adds) {
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, {%32, %33, %34, %35}, %36, p, 1, 1; }"
        : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<uint32_t>(adds)));
  }
};
// part = 16 rows of each warp, which are already split in two, by N columns over 32 terms of b in shared memory. The small products come first: the tensor
// cores round every sum towards zero. Completes with `Wgmma<N>::wait`.
template <int N> __device__ __forceinline__ void multiplyTerms(float (&part)[N / 8][4], const uint32_t (&high)[4][4], const uint32_t (&low)[4][4], uint32_t highB, uint32_t lowB) {
  Wgmma<N>::fence(part);
#pragma unroll
  for (int step = 0; step < 4; step++) Wgmma<N>::multiply(part, low[step], operandB<N>(highB, step), step > 0);
#pragma unroll
  for (int step = 0; step < 4; step++) Wgmma<N>::multiply(part, high[step], operandB<N>(lowB, step), true);
#pragma unroll
  for (int step = 0; step < 4; step++) Wgmma<N>::multiply(part, high[step], operandB<N>(highB, step), true);
  Wgmma<N>::commit();
}

template <int N> __device__ __forceinline__ void addPart(float (&sums)[N / 8][4], const float (&part)[N / 8][4]) {
#pragma unroll
  for (int j = 0; j < N / 8; j++)
#pragma unroll
    for (int l = 0; l < 4; l++) sums[j][l] += part[j][l];
}

template <int N> __device__ __forceinline__ bool areFinite(const float (&sums)[N / 8][4]) {
  float probe = 0.f;
#pragma unroll
  for (int j = 0; j < N / 8; j++)
#pragma unroll
    for (int l = 0; l < 4; l++) probe = fmaf(sums[j][l], 0.f, probe);
  return probe == 0.f;
}

}  // namespace

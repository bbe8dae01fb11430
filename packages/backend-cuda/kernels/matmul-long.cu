// arch: compute_90a
// Small products of float32 matrices over long sums on Hopper's tensor cores, as precise as float32 (see matmul-three-tf32.cuh): out (m, n) = aᵀ · b, whose
// terms lie in rows of a and of b. A block sums a part of the terms, 32 at a time: warps take rows of the result, whose numbers of a they split in
// registers; those of b are split in shared memory for all of them.
#include "matmul-arguments.cuh"
#include "matmul-wgmma.cuh"

namespace {

constexpr int depth = 32, rows = 128, threads = 256, stages = 3;
constexpr int strideA = rows + 8;  // padded: the reads of a warp are in different banks

// Columns: of a tile of the result, a multiple of 16. Blocks: tiles of 128 rows by those columns, then parts of k.
template <int Columns> __device__ __forceinline__ void longSums(const MatmulArguments &p) {
  constexpr int bytesA = depth * strideA * 4, stageBytes = bytesA + depth * Columns * 4, partBytes = depth * Columns * 4;
  extern __shared__ __align__(128) unsigned char sharedBytes[];
  const uint32_t base = sharedAddress(sharedBytes);
  unsigned char *splitB = sharedBytes + stages * stageBytes;  // the high part, then the low one
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k), partK = static_cast<int>(p.partK);
  const int tilesN = (n + Columns - 1) / Columns, row0 = static_cast<int>(blockIdx.x) / tilesN * rows, column0 = static_cast<int>(blockIdx.x) % tilesN * Columns;
  const int kBegin = blockIdx.y * partK, kEnd = min(kBegin + partK, k);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const float *a = static_cast<const float *>(p.a), *b = static_cast<const float *>(p.b);

  int coming = kBegin, stageFree = 0;
  const auto fetch = [&]() {
    if (coming < kEnd) {
      const uint32_t to = base + stageFree * stageBytes;
      constexpr int acrossA = rows / 4, acrossB = Columns / 4;
#pragma unroll
      for (int q = 0; q < depth * acrossA / threads; q++) {
        const int term = threadIdx.x / acrossA + q * (threads / acrossA), row = threadIdx.x % acrossA * 4;
        const bool valid = coming + term < kEnd && row0 + row < m;
        copyAsync(to + (term * strideA + row) * 4, valid ? a + (coming + term) * p.rowA + row0 + row : a, valid);
      }
#pragma unroll
      for (int i = threadIdx.x; i < depth * acrossB; i += threads) {
        const int term = i / acrossB, column = i % acrossB * 4;
        const bool valid = coming + term < kEnd && column0 + column < n;
        copyAsync(to + bytesA + i * 16, valid ? b + (coming + term) * p.n + column0 + column : b, valid);
      }
      coming += depth;
    }
    stageFree = stageFree == stages - 1 ? 0 : stageFree + 1;
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
#pragma unroll
  for (int s = 0; s < stages - 1; s++) fetch();

  float sums[Columns / 8][4] = {}, part[Columns / 8][4];
  int stage = 0;
  for (int term = kBegin; term < kEnd; term += depth) {
    asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2) : "memory");
    // The stage is there, the one before has been read, and so have the two parts of its b.
    __syncthreads();
    fetch();
    const float *tileB = reinterpret_cast<const float *>(sharedBytes + stage * stageBytes + bytesA);
#pragma unroll
    for (int i = threadIdx.x; i < depth / 4 * Columns; i += threads) {
      const int group = i / Columns, at = i % Columns;
      float v[4];
#pragma unroll
      for (int e = 0; e < 4; e++) v[e] = tileB[(group * 4 + e) * Columns + columnOf(at)];
      storeOperandB<Columns>(splitB, partBytes, group, at, v);
    }
    sharedIsForTensorCores();
    uint32_t high[4][4], low[4][4];
    const float *tileA = reinterpret_cast<const float *>(sharedBytes + stage * stageBytes) + lane % 4 * strideA + warp * 16 + lane / 4;
#pragma unroll
    for (int step = 0; step < 4; step++)
#pragma unroll
      for (int l = 0; l < 4; l++) split(__float_as_uint(tileA[(step * 8 + l / 2 * 4) * strideA + l % 2 * 8]), high[step][l], low[step][l]);
    __syncthreads();
    const uint32_t highB = sharedAddress(splitB);
    multiplyTerms<Columns>(part, high, low, highB, highB + partBytes);
    Wgmma<Columns>::wait(part);
    addPart<Columns>(sums, part);
    stage = stage == stages - 1 ? 0 : stage + 1;
  }
  asm volatile("cp.async.wait_all;");

  const int row = row0 + warp * 16 + lane / 4, column = column0 + lane % 4 * 4;
  float *parts = p.parts + blockIdx.y * p.m * p.n;
  const auto store = [&](float sum, int r, int c) {
    if (r < m && c < n) parts[p.transposeOut ? c * p.m + r : r * p.n + c] = sum;
  };
  if (!areFinite<Columns>(sums)) {
    // This lane's results by ordinary arithmetic.
#pragma unroll 1
    for (int i = 0; i < Columns / 2; i++) {
      const int r = row + i % 2 * 8, c = column + i / 8 * 16 + i / 2 % 4;
      if (r < m && c < n) store(exactly<false, false>(p, 0, r, c, kBegin, kEnd), r, c);
    }
    return;
  }
#pragma unroll
  for (int j = 0; j < Columns / 8; j++)
#pragma unroll
    for (int l = 0; l < 4; l++) store(sums[j][l], row + l / 2 * 8, column + j / 2 * 16 + j % 2 * 2 + l % 2);
}

}  // namespace

#define LONG(columns) \
  extern "C" __global__ void __launch_bounds__(threads, 2) three_tf32_long_##columns(const __grid_constant__ MatmulArguments p) { longSums<columns>(p); }
LONG(16) LONG(32) LONG(48) LONG(64)

// arch: compute_90a
// Tall products of float32 matrices on Hopper's tensor cores, as precise as float32 (see matmul-three-tf32.cuh): many rows of a by a small matrix b.
// b lies in shared memory, split in two, for as long as a block lives; each warp streams rows of a of its own, so that nothing in the loop waits for
// other warps but the tensor cores, which take four warps at a time.
#include "matmul-arguments.cuh"
#include "matmul-wgmma.cuh"

namespace {

constexpr int depth = 32, rowsOfWarp = 16, groups = 3, threads = groups * 128, warps = threads / 32;
constexpr int stride = depth + 4, stageBytes = rowsOfWarp * stride * 4;  // padded: the reads of a warp are in different banks

__device__ __forceinline__ float4 loadFloat4(const float *from) {
  float4 v;
  asm volatile("ld.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(from));
  return v;
}

__device__ __forceinline__ float activated(float x, int activation) {
  return activation == activationSilu ? __fdividef(x, 1.f + __expf(-x)) : activation == activationRelu ? fmaxf(x, 0.f) : x;
}

__device__ __forceinline__ float4 loadFour(int type, const void *from, long long at) {
  return make_float4(loadAs(type, from, at), loadAs(type, from, at + 1), loadAs(type, from, at + 2), loadAs(type, from, at + 3));
}

// Four neighbours; `at` is a multiple of 4.
__device__ __forceinline__ void storeFour(int type, void *to, long long at, const float4 &v) {
  if (type == typeFloat) reinterpret_cast<float4 *>(to)[at / 4] = v;
  else if (type == typeBf16) reinterpret_cast<uint2 *>(to)[at / 4] = make_uint2(pairFromFloats(Bf16{}, v.x, v.y), pairFromFloats(Bf16{}, v.z, v.w));
  else reinterpret_cast<uint2 *>(to)[at / 4] = make_uint2(pairFromFloats(Half{}, v.x, v.y), pairFromFloats(Half{}, v.z, v.w));
}

__device__ __forceinline__ float4 sum(const float4 &a, const float4 &b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

// Columns 16·j + lane % 4 · 4 and the next three, of row lane / 4 + 8·half.
template <int Columns> __device__ __forceinline__ float4 fourSums(const float (&sums)[Columns / 8][4], int j, int half) {
  return make_float4(sums[2 * j][2 * half], sums[2 * j][2 * half + 1], sums[2 * j + 1][2 * half], sums[2 * j + 1][2 * half + 1]);
}

// Columns: of a tile of the result, a multiple of 16.
template <int Columns> __device__ __forceinline__ void tall(const MatmulArguments &p) {
  extern __shared__ __align__(128) unsigned char sharedBytes[];
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
  const int chunks = (k + depth - 1) / depth, passes = (n + Columns - 1) / Columns;
  const int tileBytes = chunks * depth * Columns * 4;  // of one part of b
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const float *a = static_cast<const float *>(p.a), *b = static_cast<const float *>(p.b);

  uint32_t sharedSize;
  asm("mov.u32 %0, %%dynamic_smem_size;" : "=r"(sharedSize));
  const int stages = min((static_cast<int>(sharedSize) - 2 * passes * tileBytes) / (warps * stageBytes), 8);
  const uint32_t base = sharedAddress(sharedBytes), ring = base + 2 * passes * tileBytes + warp * stages * stageBytes;

  // Tiles of 64 rows, one for four warps. Blocks take them in turn, so that the last round is spread over all multiprocessors.
  const int tiles = (m + 63) / 64, firstTile = warp / 4 * gridDim.x + blockIdx.x, tileStep = groups * gridDim.x;
  const int rowOfWarp = warp % 4 * rowsOfWarp;

  // The stream of copies: a stage is 32 terms of 16 rows; lanes copy 16 bytes of every fourth row.
  int comingTile = firstTile, comingTerm = 0, comingSlot = 0;
  const auto fetch = [&]() {
    if (comingTile < tiles) {
      const int row = comingTile * 64 + rowOfWarp + lane / 8, term = comingTerm + lane % 8 * 4;
      const float *from = a + row * p.rowA + term;
      const uint32_t to = ring + comingSlot * stageBytes + (lane / 8 * stride + lane % 8 * 4) * 4;
#pragma unroll
      for (int q = 0; q < rowsOfWarp / 4; q++) {
        const bool valid = row + q * 4 < m && term < k;
        copyAsync(to + q * 4 * stride * 4, valid ? from + q * 4 * p.rowA : a, valid);
      }
      comingTerm += depth;
      if (comingTerm >= k) comingTerm = 0, comingTile += tileStep;
    }
    comingSlot = comingSlot == stages - 1 ? 0 : comingSlot + 1;
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  for (int s = 0; s < stages; s++) fetch();

  // b into shared memory: of each tile of columns first the high parts, then the low ones.
  const int columns = passes * Columns, items = chunks * (depth / 4) * columns;
  const auto fill = [&](auto loadTerms) {
    constexpr int together = 4;
    for (int first = threadIdx.x; first < items; first += together * threads) {
      float v[together][4];
#pragma unroll
      for (int u = 0; u < together; u++) {
        const int i = first + u * threads, group = i / columns, at = i - group * columns;
        loadTerms(v[u], group * 4, at / Columns * Columns + columnOf(at % Columns), i < items);
      }
#pragma unroll
      for (int u = 0; u < together; u++) {
        const int i = first + u * threads, group = i / columns, at = i - group * columns;
        if (i < items) storeOperandB<Columns>(sharedBytes + 2 * (at / Columns) * tileBytes, tileBytes, group, at % Columns, v[u]);
      }
    }
  };
  if (p.transposeB) {
    fill([&](float(&v)[4], int term, int column, bool valid) {
      const float4 none = make_float4(0.f, 0.f, 0.f, 0.f);
      const float4 four = valid && term < k && column < n ? *reinterpret_cast<const float4 *>(b + static_cast<long long>(column) * k + term) : none;
      v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    });
  } else {
    fill([&](float(&v)[4], int term, int column, bool valid) {
#pragma unroll
      for (int e = 0; e < 4; e++) v[e] = valid && term < k && column < n ? b[static_cast<long long>(term + e) * n + column] : 0.f;
    });
  }
  sharedIsForTensorCores();
  __syncthreads();

  // With several tiles of columns the rows stay until the last of them has been multiplied.
  const int mayWait = stages - (passes > 1 ? chunks : 1);
  const bool floats = p.typeOut == typeFloat && (p.residual == nullptr || p.typeResidual == typeFloat);
  const bool plain = floats && p.bias == nullptr && p.activation == activationNone;
  float part[Columns / 8][4];
  int slot = 0;
  for (int tile = firstTile; tile < tiles; tile += tileStep) {
    const int row = tile * 64 + rowOfWarp + lane / 4;
    if (passes > 1) {
      waitForCopies(mayWait);
      __syncwarp();
    }
    for (int pass = 0; pass < passes; pass++) {
      const int column = pass * Columns + lane % 4 * 4;
      float4 residual[2][Columns / 16];
      if (floats && p.residual != nullptr) {
        // Early, so that they are on their way while the tensor cores work.
#pragma unroll
        for (int half = 0; half < 2; half++)
#pragma unroll
          for (int j = 0; j < Columns / 16; j++)
            if (row + half * 8 < m && column + j * 16 < n)
              residual[half][j] = loadFloat4(static_cast<const float *>(p.residual) + static_cast<long long>(row + half * 8) * n + column + j * 16);
      }
      float sums[Columns / 8][4] = {};
      int from = slot;
      for (int chunk = 0; chunk < chunks; chunk++) {
        if (passes == 1) {
          waitForCopies(mayWait);
          __syncwarp();
        }
        uint32_t high[4][4], low[4][4];
#pragma unroll
        for (int step = 0; step < 4; step++) {
          uint32_t raw[4];
          loadMatrices(raw, ring + from * stageBytes + (lane % 16 * stride + step * 8 + lane / 16 * 4) * 4);
#pragma unroll
          for (int l = 0; l < 4; l++) split(raw[l], high[step][l], low[step][l]);
        }
        from = from == stages - 1 ? 0 : from + 1;
        const uint32_t highB = base + 2 * pass * tileBytes + chunk * depth * Columns * 4;
        multiplyTerms<Columns>(part, high, low, highB, highB + tileBytes);
        if (pass == passes - 1) {
          // All lanes have read the stage.
          __syncwarp();
          fetch();
        }
        Wgmma<Columns>::wait(part);
        addPart<Columns>(sums, part);
      }
      if (pass == passes - 1) slot = from;

      if (!areFinite<Columns>(sums)) {
        // Something is not finite: this lane's results by ordinary arithmetic.
#pragma unroll 1
        for (int i = 0; i < Columns / 2; i++) {
          const int r = row + i % 2 * 8, c = column + i / 8 * 16 + i / 2 % 4;
          if (r < m && c < n) storeResult(p, p.transposeB ? exactly<true, true>(p, 0, r, c, 0, k) : exactly<true, false>(p, 0, r, c, 0, k), 0, r, c);
        }
      } else if (plain) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
          float *to = static_cast<float *>(p.out) + static_cast<long long>(row + half * 8) * n + column;
#pragma unroll
          for (int j = 0; j < Columns / 16; j++) {
            if (row + half * 8 >= m || column + j * 16 >= n) continue;
            float4 v = fourSums<Columns>(sums, j, half);
            if (p.residual != nullptr) v = sum(v, residual[half][j]);
            *reinterpret_cast<float4 *>(to + j * 16) = v;
          }
        }
      } else {
#pragma unroll
        for (int j = 0; j < Columns / 16; j++) {
          const int c = column + j * 16;
          if (c >= n) continue;
          float4 bias = make_float4(0.f, 0.f, 0.f, 0.f);
          if (p.bias != nullptr) bias = *reinterpret_cast<const float4 *>(p.bias + c);
#pragma unroll
          for (int half = 0; half < 2; half++) {
            if (row + half * 8 >= m) continue;
            const long long at = static_cast<long long>(row + half * 8) * n + c;
            float4 v = sum(fourSums<Columns>(sums, j, half), bias);
            if (p.activation != activationNone) {
              const int activation = static_cast<int>(p.activation);
              v = make_float4(activated(v.x, activation), activated(v.y, activation), activated(v.z, activation), activated(v.w, activation));
            }
            if (p.residual != nullptr) v = sum(v, floats ? residual[half][j] : loadFour(static_cast<int>(p.typeResidual), p.residual, at));
            storeFour(static_cast<int>(p.typeOut), p.out, at, v);
          }
        }
      }
      __syncwarp();
    }
  }
  asm volatile("cp.async.wait_all;");
}

}  // namespace

#define TALL(columns) \
  extern "C" __global__ void __launch_bounds__(threads, 1) three_tf32_tall_##columns(const __grid_constant__ MatmulArguments p) { tall<columns>(p); }
TALL(16) TALL(32) TALL(48) TALL(64)

// Products on the ordinary arithmetic units, summed in float32: tiles in shared memory, TM x TN outputs a thread.
#include "matmul-arguments.cuh"

namespace {

constexpr int threads = 256, depth = 16;

// Rows x depth of an operand, on the way from global to shared memory. `along`: terms are neighbours in memory (rows of k), else rows are.
template <int Rows, bool Any> struct Tile {
  static constexpr int stride = Rows + 4, quads = Rows * depth / 4 / threads;
  float4 held[quads];

  __device__ __forceinline__ void fetch(const void *from, int type, bool along, bool whole, long long rows, long long pitch, long long row0, long long k0,
                                        long long kEnd) {
#pragma unroll
    for (int q = 0; q < quads; q++) {
      const int index = threadIdx.x + q * threads;
      const long long row = row0 + (along ? index / (depth / 4) : index % (Rows / 4) * 4);
      const long long term = k0 + (along ? index % (depth / 4) * 4 : index / (Rows / 4));
      const long long at = along ? row * pitch + term : term * pitch + row;
      float4 v = make_float4(0.f, 0.f, 0.f, 0.f);
      if (row < rows && term < kEnd) {
        if (!Any && whole) {
          v = __ldg(reinterpret_cast<const float4 *>(static_cast<const float *>(from) + at));
        } else {
          const long long end = along ? kEnd - term : rows - row;
          v.x = loadAs(Any ? type : typeFloat, from, at);
          if (end > 1) v.y = loadAs(Any ? type : typeFloat, from, at + 1);
          if (end > 2) v.z = loadAs(Any ? type : typeFloat, from, at + 2);
          if (end > 3) v.w = loadAs(Any ? type : typeFloat, from, at + 3);
        }
      }
      held[q] = v;
    }
  }

  __device__ __forceinline__ void store(float *to, bool along) const {
#pragma unroll
    for (int q = 0; q < quads; q++) {
      const int index = threadIdx.x + q * threads;
      if (along) {
        float *at = to + index % (depth / 4) * 4 * stride + index / (depth / 4);
        at[0] = held[q].x, at[stride] = held[q].y, at[2 * stride] = held[q].z, at[3 * stride] = held[q].w;
      } else {
        *reinterpret_cast<float4 *>(to + index / (Rows / 4) * stride + index % (Rows / 4) * 4) = held[q];
      }
    }
  }
};

// `count` numbers of a tile's row: fours that are 64 apart, so that neighbouring threads read neighbouring fours.
template <int Count> __device__ __forceinline__ void read(float (&to)[Count], const float *from) {
#pragma unroll
  for (int i = 0; i < Count; i += 4) {
    const float4 v = *reinterpret_cast<const float4 *>(from + i / 4 * 64);
    to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
  }
}

template <int TM, int TN, bool Any> __device__ __forceinline__ void tiles(const MatmulArguments &p) {
  constexpr int BM = TM * 16, BN = TN * 16;
  using TileA = Tile<BM, Any>;
  using TileB = Tile<BN, Any>;
  __shared__ float sharedA[2][depth * TileA::stride], sharedB[2][depth * TileB::stride];
  const long long tilesN = (p.n + BN - 1) / BN, tileCount = (p.m + BM - 1) / BM * tilesN;
  const long long tile = blockIdx.x % tileCount, batch = blockIdx.x / tileCount, part = blockIdx.z;
  const long long row0 = tile / tilesN * BM, column0 = tile % tilesN * BN;
  const long long kBegin = part * p.partK, kEnd = min(kBegin + p.partK, p.k);
  const char *a = static_cast<const char *>(p.a) + batch * p.strideA * (p.typeA == typeFloat ? 4 : 2);
  const char *b = static_cast<const char *>(p.b) + batch * p.strideB * (p.typeB == typeFloat ? 4 : 2);
  const bool alongA = p.transposeA == 0, alongB = p.transposeB != 0;
  const long long rowB = alongB ? p.k : p.n;
  const bool wholeA = p.rowA % 4 == 0 && (alongA ? p.k : p.m) % 4 == 0, wholeB = rowB % 4 == 0;
  const int typeA = static_cast<int>(p.typeA), typeB = static_cast<int>(p.typeB);
  TileA nextA;
  TileB nextB;
  float sums[TM][TN];
#pragma unroll
  for (int i = 0; i < TM; i++)
#pragma unroll
    for (int j = 0; j < TN; j++) sums[i][j] = 0.f;

  nextA.fetch(a, typeA, alongA, wholeA, p.m, p.rowA, row0, kBegin, kEnd);
  nextB.fetch(b, typeB, alongB, wholeB, p.n, rowB, column0, kBegin, kEnd);
  nextA.store(sharedA[0], alongA);
  nextB.store(sharedB[0], alongB);
  __syncthreads();
  const int x = threadIdx.x % 16, y = threadIdx.x / 16;
  int buffer = 0;
  for (long long k0 = kBegin; k0 < kEnd; k0 += depth) {
    const bool more = k0 + depth < kEnd;
    if (more) {
      nextA.fetch(a, typeA, alongA, wholeA, p.m, p.rowA, row0, k0 + depth, kEnd);
      nextB.fetch(b, typeB, alongB, wholeB, p.n, rowB, column0, k0 + depth, kEnd);
    }
#pragma unroll
    for (int t = 0; t < depth; t++) {
      float va[TM], vb[TN];
      read(va, sharedA[buffer] + t * TileA::stride + y * 4);
      read(vb, sharedB[buffer] + t * TileB::stride + x * 4);
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) sums[i][j] = fmaf(va[i], vb[j], sums[i][j]);
    }
    if (more) {
      nextA.store(sharedA[buffer ^ 1], alongA);
      nextB.store(sharedB[buffer ^ 1], alongB);
      __syncthreads();
      buffer ^= 1;
    }
  }

  const bool wide = p.n % 4 == 0 && (p.parts != nullptr || (p.typeOut == typeFloat && p.bias == nullptr && p.residual == nullptr && p.activation == activationNone));
  float *plain = p.parts != nullptr ? p.parts + part * p.batch * p.m * p.n : static_cast<float *>(p.out);
#pragma unroll
  for (int i = 0; i < TM; i++) {
    const long long row = row0 + i / 4 * 64 + y * 4 + i % 4;
    if (row >= p.m) continue;
#pragma unroll
    for (int j = 0; j < TN; j += 4) {
      const long long column = column0 + j / 4 * 64 + x * 4;
      if (wide) {
        if (column < p.n)
          *reinterpret_cast<float4 *>(plain + (batch * p.m + row) * p.n + column) = make_float4(sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]);
        continue;
      }
#pragma unroll
      for (int l = 0; l < 4; l++) {
        if (column + l >= p.n) continue;
        if (p.parts != nullptr) plain[(batch * p.m + row) * p.n + column + l] = sums[i][j + l];
        else storeResult(p, sums[i][j + l], batch, row, column + l);
      }
    }
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(threads, 2) float32_128x128(const __grid_constant__ MatmulArguments p) { tiles<8, 8, false>(p); }
extern "C" __global__ void __launch_bounds__(threads) float32_64x64(const __grid_constant__ MatmulArguments p) { tiles<4, 4, false>(p); }
extern "C" __global__ void __launch_bounds__(threads) any_64x64(const __grid_constant__ MatmulArguments p) { tiles<4, 4, true>(p); }

// Adds up the parts of k in their order; what comes after a product happens here.
extern "C" __global__ void __launch_bounds__(256) sum_parts(const __grid_constant__ MatmulArguments p) {
  const long long count = p.batch * p.m * p.n, parts = (p.k + p.partK - 1) / p.partK;
  for (long long at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += static_cast<long long>(gridDim.x) * blockDim.x) {
    float sum = 0.f;
#pragma unroll 8
    for (long long part = 0; part < parts; part++) sum += p.parts[part * count + at];
    storeAs(static_cast<int>(p.typeOut), p.out, at, finish(p, sum, at % p.n, at));
  }
}

// The same for many parts of a small result: a block has 32 outputs, whose 8 warps take every eighth part.
extern "C" __global__ void __launch_bounds__(256) sum_many_parts(const __grid_constant__ MatmulArguments p) {
  __shared__ float shared[8][32];
  const long long count = p.batch * p.m * p.n, parts = (p.k + p.partK - 1) / p.partK, at = static_cast<long long>(blockIdx.x) * 32 + threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float sum = 0.f;
  if (at < count) {
#pragma unroll 8
    for (long long part = warp; part < parts; part += 8) sum += p.parts[part * count + at];
  }
  shared[warp][threadIdx.x % 32] = sum;
  __syncthreads();
  if (warp != 0 || at >= count) return;
#pragma unroll
  for (int w = 1; w < 8; w++) sum += shared[w][threadIdx.x];
  storeAs(static_cast<int>(p.typeOut), p.out, at, finish(p, sum, at % p.n, at));
}

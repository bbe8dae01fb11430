// Products of up to 64 rows of bfloat16 on Hopper: as in matmul-narrow.cuh, but both operands come by the copy engine, requested by one thread, and
// four warps multiply 64 rows of b together (wgmma) straight from shared memory.
#pragma once
#include "bulk-copy.cuh"
#include "matmul-narrow-finish.cuh"
#include "overlap.cuh"
#include "warpgroup.cuh"

namespace {

// A block computes 64 · Groups columns x BM rows of the result over a part of k. Grid: parts of k, tiles of columns, tiles of rows.
template <int Groups, int BM> __device__ __forceinline__ void stream(const NarrowArguments &q, const TensorMap &mapA, const TensorMap &mapB) {
  constexpr int terms = 64, rowBytes = terms * 2, BN = 64 * Groups, multipliers = 128 * Groups, threads = multipliers + 32;
  constexpr int tileB = BN * rowBytes, stageBytes = tileB + BM * rowBytes;
  const MatmulArguments &p = q.product;
  extern __shared__ __align__(1024) unsigned char sharedBytes[];
  const uint32_t base = sharedAddress(sharedBytes);
  const int stages = static_cast<int>(q.stages), part = blockIdx.x, column0 = blockIdx.y * BN, row0 = blockIdx.z * BM;
  const int kBegin = part * static_cast<int>(p.partK), kEnd = min(kBegin + static_cast<int>(p.partK), static_cast<int>(p.k));
  const int iterations = (kEnd - kBegin + terms - 1) / terms;
  // Of each stage: it is full; it has been multiplied.
  const auto full = [&](int stage) { return base + stages * stageBytes + stage * 16; };
  const auto empty = [&](int stage) { return full(stage) + 8; };
  const bool requests = threadIdx.x == multipliers;
  if (requests) {
    for (int s = 0; s < stages; s++) {
      initBarrier(full(s), 1);
      initBarrier(empty(s), Groups);
    }
    barriersAreReady();
  }
  __syncthreads();
  const auto fetchB = [&](int stage, int iteration) {
    arriveExpecting(full(stage), stageBytes);
    copyTile(base + stage * stageBytes, mapB, kBegin + iteration * terms, column0, full(stage));
  };
  const int first = q.early != 0 ? min(stages, iterations) : 0;
  if (requests) {
    for (int s = 0; s < first; s++) fetchB(s, s);
    if (q.early != 0)
      for (int i = stages; i < min(stages + static_cast<int>(q.prefetch), iterations); i++) prefetchTile(mapB, kBegin + i * terms, column0);
  }
  awaitEarlier();

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = warp / 4;
  float sums[BM / 8][4];
#pragma unroll
  for (int j = 0; j < BM / 8; j++)
#pragma unroll
    for (int l = 0; l < 4; l++) sums[j][l] = 0.f;
  if (requests) {
    int stage = 0, phase = 1;
    for (int i = 0; i < iterations; i++) {
      // The first time around all stages are empty: the phase before the first counts as ended.
      awaitPhase(empty(stage), phase);
      if (i >= first) fetchB(stage, i);
      copyTile(base + stage * stageBytes + tileB, mapA, kBegin + i * terms, row0, full(stage));
      if (++stage == stages) stage = 0, phase ^= 1;
    }
  } else if (warp < multipliers / 32) {
    int stage = 0, phase = 0, before = 0;
    for (int i = 0; i < iterations; i++) {
      awaitPhase(full(stage), phase);
      multiplyRows<BM>(sums, base + stage * stageBytes + group * 64 * rowBytes, base + stage * stageBytes + tileB);
      awaitAllButLast();
      if (i > 0 && threadIdx.x % 128 == 0) arrive(empty(before));
      before = stage;
      if (++stage == stages) stage = 0, phase ^= 1;
    }
    awaitProducts<BM>(sums);
  }
  __syncthreads();

  // Through shared memory: rows of the result become whole.
  constexpr int pitch = BN + 4;
  float *const tile = reinterpret_cast<float *>(sharedBytes);
  if (warp < multipliers / 32)
#pragma unroll
    for (int j = 0; j < BM / 8; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) tile[(j * 8 + lane % 4 * 2 + l % 2) * pitch + warp * 16 + lane / 4 + l / 2 * 8] = sums[j][l];
  __syncthreads();
  finishTile<BN, BM, 1, threads>(p, sharedBytes, row0, column0);
}

}  // namespace

#define NARROW_STREAM(G, M) \
  extern "C" __global__ void __launch_bounds__(G * 128 + 32, 2) \
      narrow_stream_n##G##_m##M(const __grid_constant__ NarrowArguments q, const __grid_constant__ TensorMap mapA, const __grid_constant__ TensorMap mapB) { \
    stream<G, M>(q, mapA, mapB); \
  }

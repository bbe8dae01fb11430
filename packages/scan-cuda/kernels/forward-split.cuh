// Forward where channels are few: the warps of a block share the same channels and each takes every `slices`-th tile of T
// steps; a tile is scanned from zero with its decays kept in registers, the block exchanges (decay of the tile, state
// after it), where the decay of the whole tile is one exponential of the summed dt, and the tile is then finished
// without further exponentials.
#pragma once
#include "layout.cuh"

template <class F> __device__ __forceinline__ void forwardSplit(const ScanArguments &p) {
  using Value = typename F::Value;
  constexpr int T = F::T, S = F::S, V = F::V;
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int slices = warps, slice = warp;
  const int c = lane / F::K, k = lane % F::K;
  const int length = static_cast<int>(p.length), dState = static_cast<int>(p.dState), tiles = tilesPerGroup<F>(p);
  const int chunkLog2 = static_cast<int>(p.chunkLog2), chunkMask = (1 << chunkLog2) - 1;
  const long long index = blockIdx.x;
  const Tile tile = tileOf<F>(p, index / (p.groups * tiles), static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  const WarpMemory<F> memory(base + warp * F::warpFloats);
  const bool valid = !F::M || c < tile.valid;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus, variableB = p.flags & flagVariableB, variableC = p.flags & flagVariableC;
  const int channel = tile.first + (valid ? c : 0);
  const long long stateRow = tile.b * p.channels + channel;

  Value A[S], h[S];
  loadValues<F>(A, p.A, channel, k, dState, valid);
#pragma unroll
  for (int s = 0; s < S; s++) {
    A[s] = scaledA(A[s]);
    setZero(h[s]);
  }
  if (p.initialState != nullptr) loadValues<F>(h, p.initialState, stateRow, k, dState, valid);
  float bias[V] = {}, skip[V] = {};
  {
    const Item<F> item(0, lane);
#pragma unroll
    for (int v = 0; v < V; v++) {
      const int d = tile.first + (F::M ? min(item.c + v, tile.valid - 1) : item.c + v);
      if (p.deltaBias != nullptr) bias[v] = p.deltaBias[d];
      if (p.D != nullptr) skip[v] = p.D[d];
    }
  }
  static_assert(32 % F::perRow == 0, "a lane's items are all of the same channels");

  Raw<F> u, delta, z;
  const int stride = T * slices;
  int t0 = slice * T;
  long long offset = itemOffset<F>(p, tile, t0, lane);
  const long long offsetStride = stride * p.channels, coefficientStride = stride * p.groups * F::K * S;
  Coefficients<F> bc(p, tile, t0, lane);
  u.load(p, tile, p.u, offset, t0, lane);
  delta.load(p, tile, p.delta, offset, t0, lane);
  z.load(p, tile, p.z, offset, t0, lane, gated);
  bc.load(t0, length, lane);

  for (int round = 0; round * stride < length; round++, t0 += stride, offset += offsetStride) {
    const Raw<F> uNow = u, zNow = z;
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
#pragma unroll
      for (int v = 0; v < V; v++) {
        const TimeStep step = timeStep(delta.x[j].get(v) + bias[v], softplus);
        const float dt = t0 + item.t < length ? step.dt : 0.f;
        if (item.active) {
          *reinterpret_cast<float2 *>(memory.x + (item.c + v) * F::rowX + 2 * item.t) = make_float2(dt, dt * uNow.x[j].get(v));
        }
      }
    }
    bc.store(p, tile, memory, t0, lane);
    loadKeep<F>(p, tile, memory.keep, t0, lane);
    bc.advance(coefficientStride);
    u.load(p, tile, p.u, offset + offsetStride, t0 + stride, lane);
    delta.load(p, tile, p.delta, offset + offsetStride, t0 + stride, lane);
    z.load(p, tile, p.z, offset + offsetStride, t0 + stride, lane, gated);
    bc.load(t0 + stride, length, lane);
    __syncwarp();

    const float *const x = memory.x + c * F::rowX;
    float y[T];
    float4 pair;
    {
      Value a[T][S], b[T][S], local[S], whole[S];
      float sum = 0.f, keepAll = 1.f;
#pragma unroll
      for (int s = 0; s < S; s++) setZero(local[s]);
      specialize(p.resets != nullptr, [&](auto resets) {
#pragma unroll
        for (int t = 0; t < T; t++) {
          if (t % 2 == 0) pair = *reinterpret_cast<const float4 *>(x + 2 * t);
          const float dt = t % 2 ? pair.z : pair.x, dtu = t % 2 ? pair.w : pair.y;
          sum += dt;
          if constexpr (resets.value) keepAll *= memory.keep[t];
          Value B[S];
          coefficients<F>(B, memory.b, variableB, t, c, k);
#pragma unroll
          for (int s = 0; s < S; s++) {
            a[t][s] = decay(dt, A[s]);
            if constexpr (resets.value) a[t][s] = scale(memory.keep[t], a[t][s]);
            b[t][s] = scale(dtu, B[s]);
            local[s] = multiplyAdd(a[t][s], local[s], b[t][s]);
          }
        }
      });
#pragma unroll
      for (int s = 0; s < S; s++) whole[s] = scale(keepAll, decay(sum, A[s]));

      // exchange: [buffer][slice][whole, local][lane][S]
      constexpr int part = 32 * S * F::W;
      float *const exchange = base + warps * F::warpFloats + (round & 1) * slices * 2 * part;
      Pack<Value, S> packed;
#pragma unroll
      for (int s = 0; s < S; s++) packed.x[s] = whole[s];
      storePack(reinterpret_cast<Value *>(exchange + slice * 2 * part) + lane * S, packed);
#pragma unroll
      for (int s = 0; s < S; s++) packed.x[s] = local[s];
      storePack(reinterpret_cast<Value *>(exchange + (slice * 2 + 1) * part) + lane * S, packed);
      __syncthreads();
      Value start[S];
#pragma unroll 4
      for (int j = 0; j < slices; j++) {
        const auto wholeOf = loadPack<Value, S>(reinterpret_cast<const Value *>(exchange + j * 2 * part) + lane * S);
        const auto localOf = loadPack<Value, S>(reinterpret_cast<const Value *>(exchange + (j * 2 + 1) * part) + lane * S);
#pragma unroll
        for (int s = 0; s < S; s++) {
          if (j == slice) start[s] = h[s];
          h[s] = multiplyAdd(wholeOf.x[s], h[s], localOf.x[s]);
        }
      }
      if (p.checkpoints != nullptr && t0 < length && (t0 & chunkMask) == 0) {
        storeValues<F>(p.checkpoints, start, (tile.b * p.chunks + (t0 >> chunkLog2)) * p.channels + channel, k, dState, valid);
      }
      if (p.y == nullptr) {
        __syncwarp();
        continue;
      }
#pragma unroll
      for (int t = 0; t < T; t++) {
        Value C[S];
        coefficients<F>(C, memory.c, variableC, t, c, k);
        y[t] = 0.f;
#pragma unroll
        for (int s = 0; s < S; s++) {
          start[s] = multiplyAdd(a[t][s], start[s], b[t][s]);
          y[t] = realOfProduct(C[s], start[s], y[t]);
        }
      }
    }
    if (p.y == nullptr) {
      __syncwarp();
      continue;
    }
    sumOverStates<F>(y, memory.g + c * F::rowG, k);
    __syncwarp();
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
      if (!item.active) continue;
      float out[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
        out[v] = fmaf(skip[v], uNow.x[j].get(v), F::twice * memory.g[(item.c + v) * F::rowG + item.t]);
        if (gated) {
          const float gate = zNow.x[j].get(v);
          out[v] *= gate * sigmoid(gate);
        }
      }
      storeItem<F>(p, tile, p.y, j, offset, t0, lane, out);
    }
    __syncwarp();
  }
  if (p.lastState != nullptr && slice == 0) storeValues<F>(p.lastState, h, stateRow, k, dState, valid);
}

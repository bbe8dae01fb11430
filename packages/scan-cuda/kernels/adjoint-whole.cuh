// First half of backward where channels are many, the mirror image of forward.cuh: a warp walks over a segment from its
// end, with R channels a lane, and leaves what comes back into each chunk; `ends` takes segments from zero.
#pragma once
#include "layout.cuh"

template <class F, bool ends> __device__ __forceinline__ void adjointWhole(const ScanArguments &p) {
  static_assert(!F::M && !F::complex);
  constexpr int T = F::T, S = F::S, V = F::V, R = F::R, lanes = 32 / F::K;
  extern __shared__ float4 shared[];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S;
  const int length = static_cast<int>(p.length), tiles = tilesPerGroup<F>(p), segments = static_cast<int>(p.segments) - ends;
  const int chunkLog2 = static_cast<int>(p.chunkLog2), chunkMask = (1 << chunkLog2) - 1;
  const long long index = static_cast<long long>(blockIdx.x) * warps + warp, ofSegment = p.groups * tiles;
  if (index >= p.batch * segments * ofSegment) return;
  const int segment = static_cast<int>(index / ofSegment % segments) + ends, lastSegment = static_cast<int>(p.segments) - 1;
  const Tile tile = tileOf<F>(p, index / ofSegment / segments, static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  float *const memory = reinterpret_cast<float *>(shared) + warp * F::doubleFloats;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const int channel = tile.first + c;
  const int begin = segment * static_cast<int>(p.segmentSteps), end = min(length, begin + static_cast<int>(p.segmentSteps));
  const auto segmentRow = [&](int r, int at) { return (tile.b * p.segments + at) * p.channels + channel + r * lanes; };

  float A[R][S], carry[R][S], sum[R], keepAll = 1.f;
#pragma unroll
  for (int r = 0; r < R; r++) {
    sum[r] = 0.f;
    loadValues<F>(A[r], p.A, channel + r * lanes, k, dState, true);
#pragma unroll
    for (int s = 0; s < S; s++) {
      A[r][s] = scaledA(A[r][s]);
      carry[r][s] = 0.f;
    }
    if (segment < lastSegment) {
      if (!ends) loadValues<F>(carry[r], p.starts, segmentRow(r, segment), k, dState, true);
    } else if (p.gradLastState != nullptr) {
      loadValues<F>(carry[r], p.gradLastState, tile.b * p.channels + channel + r * lanes, k, dState, true);
    }
  }
  float bias[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    const Item<F> item(0, lane);
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[tile.first + item.c + v];
  }

  int t0 = begin + (end - begin - 1) / T * T;
  Raw<F> delta, z, gradY; // of the tile to prepare next
  Raw<F> deltaAhead, zAhead, gradAhead; // of the one after it, in flight for a whole round
  long long offset = itemOffset<F>(p, tile, t0, lane);
  const long long stride = T * p.channels, coefficientStride = T * p.groups * dState;
  Coefficients<F> bc(p, tile, t0, lane);
  decltype(bc.raw) bcAhead;
  const auto fetch = [&](int at) {
    const int limit = at < begin ? at : length; // nothing is read before the segment
    deltaAhead.load(p, tile, p.delta, offset, at, lane, at >= begin);
    zAhead.load(p, tile, p.z, offset, at, lane, at >= begin && gated);
    gradAhead.load(p, tile, p.gradY, offset, at, lane, at >= begin);
    bc.load(bcAhead, at, limit, lane);
    offset -= stride;
    bc.advance(-coefficientStride);
  };
  const auto arrive = [&] {
    delta = deltaAhead;
    z = zAhead;
    gradY = gradAhead;
#pragma unroll
    for (int j = 0; j < Coefficients<F>::loads; j++) bc.raw[j] = bcAhead[j];
  };
  const auto prepare = [&](const TileBuffer<F> &to, int at) {
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
      const bool inside = at + item.t < end;
#pragma unroll
      for (int v = 0; v < V; v++) {
        const float gate = z.x[j].get(v), silu = gate * sigmoid(gate);
        const float g = gradY.x[j].get(v) * (gated ? silu : 1.f);
        const TimeStep step = timeStep(delta.x[j].get(v) + bias[v], softplus);
        *reinterpret_cast<float2 *>(to.x + (item.c + v) * F::rowX + 2 * item.t) = make_float2(inside ? step.dt : 0.f, g);
      }
    }
    bc.store(p, tile, to, at, lane);
  };

  specialize(p.resets != nullptr, [&](auto resets) {
    fetch(t0);
    arrive();
    prepare(TileBuffer<F>(memory), t0);
    if constexpr (resets.value) loadKeep<F>(p, tile, TileBuffer<F>(memory).keep, t0, lane);
    fetch(t0 - T);
    arrive();
    __syncwarp();
    bool behind = true; // the first tile is followed by what comes from behind the segment
    for (int parity = 0; t0 >= begin; t0 -= T, parity ^= 1) {
      const TileBuffer<F> now(memory + parity * F::bufferFloats), other(memory + (parity ^ 1) * F::bufferFloats);
      if (!ends && (behind || ((t0 + T) & chunkMask) == 0)) {
        const long long chunk = (t0 + T - 1) >> chunkLog2;
#pragma unroll
        for (int r = 0; r < R; r++) {
          storeValues<F>(p.adjoints, carry[r], (tile.b * p.chunks + chunk) * p.channels + channel + r * lanes, k, dState, true);
        }
      }
      behind = false;
      fetch(t0 - 2 * T);
      const float *const x = now.x + c * F::rowX;
      float4 pair[R];
#pragma unroll
      for (int t = T - 1; t >= 0; t--) {
        float C[S];
        coefficients<F>(C, now.c, true, t, c, k);
        if constexpr (ends && resets.value) keepAll *= now.keep[t];
#pragma unroll
        for (int r = 0; r < R; r++) {
          if (t % 2 == 1) pair[r] = *reinterpret_cast<const float4 *>(x + r * lanes * F::rowX + 2 * t - 2);
          const float dt = t % 2 ? pair[r].z : pair[r].x, g = t % 2 ? pair[r].w : pair[r].y;
          if (ends) sum[r] += dt;
#pragma unroll
          for (int s = 0; s < S; s++) {
            float a = decay(dt, A[r][s]);
            if constexpr (resets.value) a *= now.keep[t];
            carry[r][s] = a * fmaf(g, C[s], carry[r][s]);
          }
        }
      }
      prepare(other, t0 - T);
      if constexpr (resets.value) {
        if (t0 > begin) loadKeep<F>(p, tile, other.keep, t0 - T, lane);
      }
      arrive();
      __syncwarp();
    }
  });
#pragma unroll
  for (int r = 0; r < R; r++) {
    if (ends) {
      storeValues<F>(p.starts, carry[r], segmentRow(r, segment - 1), k, dState, true);
#pragma unroll
      for (int s = 0; s < S; s++) carry[r][s] = keepAll * decay(sum[r], A[r][s]);
      storeValues<F>(p.decays, carry[r], segmentRow(r, segment - 1), k, dState, true);
    } else if (p.gradInitialState != nullptr && segment == 0) {
      storeValues<F>(p.gradInitialState, carry[r], tile.b * p.channels + channel + r * lanes, k, dState, true);
    }
  }
}

// Forward: h_t = a_t h_{t-1} + dt_t B_t u_t, y_t = sum_n C_t h_t. A warp keeps the states of its channels in registers and
// walks over time; a lane has R channels, so that B and C, which come from shared memory, serve R states each. Long
// sequences with few channels are cut into segments, each walked over by another warp: `ends` first takes every segment
// from zero to (state after it, decay of all of it), combineSegments turns these into the states before each segment.
// The loop is a pipeline: while the states of one tile advance, dt of the next and the gate of the one before are computed.
#pragma once
#include "layout.cuh"

template <class F, bool ends> __device__ __forceinline__ void forwardWhole(const ScanArguments &p) {
  static_assert(!F::M && !F::complex);
  constexpr int T = F::T, S = F::S, V = F::V, R = F::R, lanes = 32 / F::K;
  extern __shared__ float4 shared[];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S;
  const int length = static_cast<int>(p.length), tiles = tilesPerGroup<F>(p), segments = static_cast<int>(p.segments) - ends;
  const int chunkLog2 = static_cast<int>(p.chunkLog2), chunkMask = (1 << chunkLog2) - 1;
  const long long index = static_cast<long long>(blockIdx.x) * warps + warp, ofSegment = p.groups * tiles;
  if (index >= p.batch * segments * ofSegment) return;
  const int segment = static_cast<int>(index / ofSegment % segments);
  const Tile tile = tileOf<F>(p, index / ofSegment / segments, static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  float *const memory = reinterpret_cast<float *>(shared) + warp * F::doubleFloats;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const int channel = tile.first + c;
  int t0 = segment * static_cast<int>(p.segmentSteps);
  const int end = min(length, t0 + static_cast<int>(p.segmentSteps));
  const auto segmentRow = [&](int r, int at) { return (tile.b * p.segments + at) * p.channels + channel + r * lanes; };

  float A[R][S], h[R][S], sum[R], keepAll = 1.f;
#pragma unroll
  for (int r = 0; r < R; r++) {
    sum[r] = 0.f;
    loadValues<F>(A[r], p.A, channel + r * lanes, k, dState, true);
#pragma unroll
    for (int s = 0; s < S; s++) {
      A[r][s] = scaledA(A[r][s]);
      h[r][s] = 0.f;
    }
    if (segment > 0) {
      if (!ends) loadValues<F>(h[r], p.starts, segmentRow(r, segment), k, dState, true);
    } else if (p.initialState != nullptr) {
      loadValues<F>(h[r], p.initialState, tile.b * p.channels + channel + r * lanes, k, dState, true);
    }
  }
  float bias[V] = {}, skip[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    const Item<F> item(0, lane);
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[tile.first + item.c + v];
    if (p.D != nullptr) skip[v] = p.D[tile.first + item.c + v];
  }

  Raw<F> u, delta, z; // of the tile to prepare next
  Raw<F> uAhead, deltaAhead, zAhead; // of the one after it, in flight for a whole round
  long long offset = itemOffset<F>(p, tile, t0, lane);
  const long long stride = T * p.channels, coefficientStride = T * p.groups * dState;
  Coefficients<F> bc(p, tile, t0, lane);
  decltype(bc.raw) bcAhead;
  const auto fetch = [&](int at) {
    uAhead.load(p, tile, p.u, offset, at, lane);
    deltaAhead.load(p, tile, p.delta, offset, at, lane);
    if (!ends) zAhead.load(p, tile, p.z, offset, at, lane, gated);
    bc.load(bcAhead, at, length, lane);
    offset += stride;
    bc.advance(coefficientStride);
  };
  const auto arrive = [&] {
    u = uAhead;
    delta = deltaAhead;
    z = zAhead;
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
        const TimeStep step = timeStep(delta.x[j].get(v) + bias[v], softplus);
        const float dt = inside ? step.dt : 0.f;
        *reinterpret_cast<float2 *>(to.x + (item.c + v) * F::rowX + 2 * item.t) = make_float2(dt, dt * u.x[j].get(v));
      }
    }
    bc.store(p, tile, to, at, lane);
  };
  Raw<F> uBefore = {}, zBefore = {}, uNow, zNow;
  long long yOffset = offset - stride;
  const auto finish = [&](const TileBuffer<F> &from, int at, bool exists) {
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
      float out[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
        const float gate = zBefore.x[j].get(v), silu = gate * sigmoid(gate);
        out[v] = fmaf(skip[v], uBefore.x[j].get(v), from.g[(item.c + v) * F::rowG + item.t]);
        out[v] *= gated ? silu : 1.f;
      }
      if (exists) storeItem<F>(p, tile, p.y, j, yOffset, at, lane, out);
    }
  };

  specialize(p.resets != nullptr, [&](auto resets) {
    const int begin = t0;
    fetch(t0);
    arrive();
    prepare(TileBuffer<F>(memory), t0);
    if constexpr (resets.value) loadKeep<F>(p, tile, TileBuffer<F>(memory).keep, t0, lane);
    uNow = u;
    zNow = z;
    fetch(t0 + T);
    arrive();
    __syncwarp();
    for (int parity = 0; t0 < end; t0 += T, parity ^= 1) {
      const TileBuffer<F> now(memory + parity * F::bufferFloats), other(memory + (parity ^ 1) * F::bufferFloats);
      if (!ends && p.checkpoints != nullptr && (t0 & chunkMask) == 0) {
#pragma unroll
        for (int r = 0; r < R; r++) {
          storeValues<F>(p.checkpoints, h[r], (tile.b * p.chunks + (t0 >> chunkLog2)) * p.channels + channel + r * lanes, k, dState, true);
        }
      }
      // without branches from here on, so that the three tiles are scheduled together
      fetch(t0 + 2 * T);
      if (!ends) finish(other, t0 - T, p.y != nullptr && t0 > begin);
      yOffset += stride;
      uBefore = uNow;
      zBefore = zNow;
      const float *const x = now.x + c * F::rowX;
      float y[R][T];
      float4 pair[R];
#pragma unroll
      for (int t = 0; t < T; t++) {
        float B[S], C[S];
        coefficients<F>(B, now.b, true, t, c, k);
        if (!ends) coefficients<F>(C, now.c, true, t, c, k);
        if constexpr (ends && resets.value) keepAll *= now.keep[t];
#pragma unroll
        for (int r = 0; r < R; r++) {
          if (t % 2 == 0) pair[r] = *reinterpret_cast<const float4 *>(x + r * lanes * F::rowX + 2 * t);
          const float dt = t % 2 ? pair[r].z : pair[r].x, dtu = t % 2 ? pair[r].w : pair[r].y;
          if (ends) sum[r] += dt;
          y[r][t] = 0.f;
#pragma unroll
          for (int s = 0; s < S; s++) {
            float a = decay(dt, A[r][s]);
            if constexpr (resets.value) a *= now.keep[t];
            h[r][s] = fmaf(a, h[r][s], dtu * B[s]);
            if (!ends) y[r][t] = fmaf(C[s], h[r][s], y[r][t]);
          }
        }
      }
      prepare(other, t0 + T);
      if constexpr (resets.value) loadKeep<F>(p, tile, other.keep, t0 + T, lane);
      uNow = u;
      zNow = z;
      arrive();
      if (!ends) {
#pragma unroll
        for (int r = 0; r < R; r++) sumOverStates<F>(y[r], now.g + (c + r * lanes) * F::rowG, k);
      }
      __syncwarp();
    }
    if (!ends) finish(TileBuffer<F>(memory + ((t0 - begin) / T - 1) % 2 * F::bufferFloats), t0 - T, p.y != nullptr);
  });
#pragma unroll
  for (int r = 0; r < R; r++) {
    if (ends) {
      storeValues<F>(p.starts, h[r], segmentRow(r, segment + 1), k, dState, true);
#pragma unroll
      for (int s = 0; s < S; s++) h[r][s] = keepAll * decay(sum[r], A[r][s]);
      storeValues<F>(p.decays, h[r], segmentRow(r, segment + 1), k, dState, true);
    } else if (p.lastState != nullptr && end == length) {
      storeValues<F>(p.lastState, h[r], tile.b * p.channels + channel + r * lanes, k, dState, true);
    }
  }
}

// starts[segment] holds where its neighbour (forward: the segment before it, backward: the one behind it) ends if that
// starts from zero; the outermost started from the true state. Adds what lies beyond the neighbours.
template <bool reverse> __device__ __forceinline__ void combineSegments(const ScanArguments &p) {
  const long long size = p.channels * p.dState, index = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (index >= p.batch * size) return;
  const int segments = static_cast<int>(p.segments);
  const long long first = index / size * segments * size + index % size + (reverse ? segments - 2 : 1) * size;
  const long long step = reverse ? -size : size;
  float state = p.starts[first];
#pragma unroll 8
  for (int i = 1; i < segments - 1; i++) {
    const long long at = first + i * step;
    state = fmaf(p.decays[at], state, p.starts[at]);
    p.starts[at] = state;
  }
}

// Forward: h_t = a_t h_{t-1} + dt_t B_t u_t, y_t = sum_n C_t h_t. A warp keeps the states of its channels in registers and
// walks over time; a lane has R channels, so that B and C, which come from shared memory, serve R states each. Long
// sequences with few channels are cut into segments, each walked over by another warp: `ends` first takes every segment
// from zero to (state after it, decay of all of it), combineSegments turns these into the states before each segment.
// The loop is a pipeline: while the states of one tile advance, dt of the next and the gate of the one before are computed,
// and the loads of the one after the next are under way.
#pragma once
#include "forward-tile.cuh"

template <class F, bool ends> __device__ __forceinline__ void forwardWhole(const ScanArguments &p) {
  static_assert(!F::M && !F::complex && F::I == 1);
  constexpr int T = F::T, S = F::S, V = F::V, R = F::R, lanes = 32 / F::K;
  extern __shared__ float4 shared[];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S;
  const int length = static_cast<int>(p.length), tiles = tilesPerGroup<F>(p), segments = static_cast<int>(p.segments) - ends;
  const int chunkLog2 = static_cast<int>(p.chunkLog2);
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
  const Item<F> item(0, lane);
  float bias[V] = {}, skip[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[tile.first + item.c + v];
    if (p.D != nullptr) skip[v] = p.D[tile.first + item.c + v];
  }

  // Tiles take turns with two places each: what is loaded, what of it `finish` needs, buffers.
  struct {
    typename Raw<F>::Element u, delta, z;
    decltype(Coefficients<F>::raw) bc;
  } loaded[2];
  typename Raw<F>::Element keptU[2] = {}, keptZ[2] = {};
  constexpr int size = sizeof(typename F::E);
  const int rowBytes = static_cast<int>(p.channels) * size, coefficientRow = static_cast<int>(p.groups) * dState;
  const long long tileBytes = T * p.channels * size, coefficientStride = T * p.groups * dState;
  long long at = itemOffset<F>(p, tile, t0, lane) * size; // bytes; of the tile to load next
  Coefficients<F> bc(p, tile, t0, lane);
  const void *const gates = gated ? p.z : p.u; // what is read of u is not used
  const auto fetch = [&](auto general, auto place, int t0) {
    auto &to = loaded[place.value];
    const long long from = general.value ? at + intoSequence(t0 + item.t, length) * rowBytes : at;
    const auto read = [&](typename Raw<F>::Element &to, const void *array) {
      to.values = *reinterpret_cast<const decltype(to.values) *>(static_cast<const char *>(array) + from);
    };
    read(to.u, p.u);
    read(to.delta, p.delta);
    if (!ends) read(to.z, gates);
    if constexpr (general.value) bc.loadNearest(to.bc, t0, length, coefficientRow, lane);
    else bc.loadWhole(to.bc);
    at += tileBytes;
    bc.advance(coefficientStride);
  };
  const auto prepare = [&](auto general, auto place, const TileBuffer<F> &to, int t0) {
    auto &from = loaded[place.value];
#pragma unroll
    for (int v = 0; v < V; v++) {
      const TimeStep step = timeStep(from.delta.get(v) + bias[v], softplus);
      const float dt = !general.value || t0 + item.t < end ? step.dt : 0.f;
      *reinterpret_cast<float2 *>(to.x + xOfItem<F>(item) + v * F::rowX) = make_float2(dt, dt * from.u.get(v));
    }
    bc.store(from.bc, p, tile, to, t0, lane);
    if constexpr (general.value) loadKeep<F>(p, tile, to.keep, t0, lane);
    keptU[place.value] = from.u;
    keptZ[place.value] = from.z;
  };
  const auto finish = [&](auto general, auto place, const TileBuffer<F> &from, long long at, bool exists) {
    typename Raw<F>::Element stored;
    const float *const sums = from.g + sumsOfItem<F>(item);
    float out[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
      const float gate = keptZ[place.value].get(v), silu = gate * sigmoid(gate);
      out[v] = fmaf(skip[v], keptU[place.value].get(v), sumOfItem<F>(sums, v));
      out[v] *= general.value && !gated ? 1.f : silu;
    }
    stored.set(out);
    if (exists) *reinterpret_cast<decltype(stored.values) *>(static_cast<char *>(p.y) + at) = stored.values;
  };

  const int begin = t0, chunkMask = (1 << chunkLog2) - 1, chunkStart = !ends && p.checkpoints != nullptr ? 0 : -1;
  const long long checkpointRow = tile.b * p.chunks * p.channels + channel;
  const auto step = [&](auto general, auto place, const TileBuffer<F> &now, const TileBuffer<F> &other) {
    using Next = std::integral_constant<int, 1 - place.value>;
    if ((t0 & chunkMask) == chunkStart) {
#pragma unroll
      for (int r = 0; r < R; r++) {
        storeValues<F>(p.checkpoints, h[r], checkpointRow + (t0 >> chunkLog2) * p.channels + r * lanes, k, dState, true);
      }
    }
    // without branches from here on, so that the three tiles are scheduled together
    if constexpr (!ends) {
      const bool exists = t0 > begin && (!general.value || (p.y != nullptr && t0 - T + item.t < length));
      finish(general, Next(), other, at - 3 * tileBytes, exists);
    }
    fetch(general, place, t0 + 2 * T);
    const float *const x = now.x + c * F::rowX;
    float y[R][T];
    float4 pair[R];
#pragma unroll
    for (int t = 0; t < T; t++) {
      float B[S], C[S];
      coefficients<F>(B, now.b, true, t, c, k);
      if (!ends) coefficients<F>(C, now.c, true, t, c, k);
      if constexpr (ends && general.value) keepAll *= now.keep[t];
#pragma unroll
      for (int r = 0; r < R; r++) {
        if (t % 2 == 0) pair[r] = *reinterpret_cast<const float4 *>(x + r * F::perLaneX + 2 * t);
        const float dt = t % 2 ? pair[r].z : pair[r].x, dtu = t % 2 ? pair[r].w : pair[r].y;
        if (ends) sum[r] += dt;
#pragma unroll
        for (int s = 0; s < S; s++) {
          float a = decay(dt, A[r][s]);
          if constexpr (general.value) a *= now.keep[t];
          h[r][s] = fmaf(a, h[r][s], dtu * B[s]);
          if (!ends) y[r][t] = s == 0 ? C[s] * h[r][s] : fmaf(C[s], h[r][s], y[r][t]);
        }
      }
    }
    prepare(general, Next(), other, t0 + T);
    if (!ends) {
#pragma unroll
      for (int r = 0; r < R; r++) storeSums<F>(now.g + sumsOfLane<F>(c, k) + r * F::perLaneP, y[r]);
    }
    __syncwarp();
    t0 += T;
  };
  using Zero = std::integral_constant<int, 0>;
  using One = std::integral_constant<int, 1>;
  TileBuffer<F> now(memory), other(memory + F::bufferFloats);
  fetch(std::true_type(), Zero(), t0);
  prepare(std::true_type(), Zero(), now, t0);
  fetch(std::true_type(), One(), t0 + T);
  __syncwarp();
  // Mamba's usual case, as long as all tiles under way are whole; then the others.
  const bool usual = p.resets == nullptr && (ends || (gated && p.y != nullptr));
  for (int pairs = usual ? ((end - begin) / T - 2) / 2 : 0; pairs > 0; pairs--) {
    step(std::false_type(), Zero(), now, other);
    step(std::false_type(), One(), other, now);
  }
  while (t0 < end) {
    step(std::true_type(), Zero(), now, other);
    const auto exchange = [](auto &pair) {
      const auto first = pair[0];
      pair[0] = pair[1];
      pair[1] = first;
    };
    exchange(loaded);
    exchange(keptU);
    exchange(keptZ);
    const auto before = now;
    now = other;
    other = before;
  }
  if (!ends) finish(std::true_type(), One(), other, at - 3 * tileBytes, p.y != nullptr && t0 - T + item.t < length);
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

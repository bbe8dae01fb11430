// Forward along a chain of warps: the warps of a block share channels and take tiles of T steps in turn. A warp computes
// the decays and inputs of its tile, waits for the state before it, walks through the tile, hands the state on and only
// then computes y. So nothing is computed twice, and what is serial is T multiply-adds and one passage through shared
// memory a tile. With `ahead` a tile is walked through from zero beforehand, which leaves one multiply-add of that: for
// blocks whose chain would take longer than their work.
#pragma once
#include "chain.cuh"
#include "layout.cuh"

template <class F, bool ahead> __device__ __forceinline__ void forwardChain(const ScanArguments &p) {
  static_assert(!F::M && !F::complex && F::I == 1);
  constexpr int T = F::T, S = F::S, V = F::V, R = F::R, lanes = 32 / F::K;
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S;
  const int length = static_cast<int>(p.length), tiles = tilesPerGroup<F>(p);
  const int chunkLog2 = static_cast<int>(p.chunkLog2), chunkMask = p.checkpoints != nullptr ? (1 << chunkLog2) - 1 : -1;
  const long long index = blockIdx.x;
  const Tile tile = tileOf<F>(p, index / (p.groups * tiles), static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  const TileBuffer<F> memory(base + warp * F::bufferFloats);
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const int channel = tile.first + c;

  constexpr int slotFloats = R * 32 * S;
  float *const slots = base + warps * F::bufferFloats + lane * S;
  float *const own = slots + warp * slotFloats;
  const int linkBefore = warp == 0 ? warps - 1 : warp - 1;
  const float *const before = slots + linkBefore * slotFloats;
  const auto hand = [&](const float (&state)[S], int r) {
    Pack<float, S> pack;
#pragma unroll
    for (int s = 0; s < S; s++) pack.x[s] = state[s];
    storePack(own + r * 32 * S, pack);
  };
  const long long stateRow = tile.b * p.channels + channel;
  float A[R][S];
#pragma unroll
  for (int r = 0; r < R; r++) {
    loadValues<F>(A[r], p.A, channel + r * lanes, k, dState, true);
    float initial[S] = {};
    if (p.initialState != nullptr && warp == warps - 1) loadValues<F>(initial, p.initialState, stateRow + r * lanes, k, dState, true);
    if (warp == warps - 1) hand(initial, r);
#pragma unroll
    for (int s = 0; s < S; s++) A[r][s] = scaledA(A[r][s]);
  }
  if (warps > 1 && warp == warps - 1) chain::arrive(warp);

  const Item<F> item(0, lane);
  float bias[V] = {}, skip[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    const int d = tile.first + (item.active ? item.c + v : 0);
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[d];
    if (p.D != nullptr) skip[v] = p.D[d];
  }
  const int stride = T * warps, rounds = (length + stride - 1) / stride;
  int t0 = warp * T;
  typename Raw<F>::Element u = {}, delta = {}, z = {};
  long long at = itemOffset<F>(p, tile, t0, lane) * static_cast<int>(sizeof(typename F::E)); // bytes
  const long long byteStride = stride * p.channels * static_cast<int>(sizeof(typename F::E)), coefficientStride = stride * p.groups * dState;
  Coefficients<F> bc(p, tile, t0, lane);
  const void *const gates = gated ? p.z : p.u; // what is read of u is not used
  const int rowBytes = static_cast<int>(p.channels) * static_cast<int>(sizeof(typename F::E)), coefficientRow = static_cast<int>(p.groups) * dState;
  const auto fetch = [&](int t0, long long at) {
    at += intoSequence(t0 + item.t, length) * rowBytes;
    const auto read = [&](typename Raw<F>::Element &to, const void *from) {
      if (F::items % 32 == 0 || item.active) to.values = *reinterpret_cast<const decltype(to.values) *>(static_cast<const char *>(from) + at);
    };
    read(u, p.u);
    read(delta, p.delta);
    read(z, gates);
    bc.loadNearest(t0, length, coefficientRow, lane);
  };
  fetch(t0, at);
  float *const x = memory.x + c * F::rowX;
  float2 *const xItem = reinterpret_cast<float2 *>(memory.x + item.c * F::rowX + 2 * item.t);
  const float *const gItem = memory.g + item.c * F::rowG + item.t;

  auto uNow = u, zNow = z;
  specialize(p.resets != nullptr, [&](auto resets) {
    float a[R][T][S], h[R][T][S]; // of the tile at hand; h: dt u B, then the state
    const auto prepare = [&] {
      uNow = u;
      zNow = z;
#pragma unroll
      for (int v = 0; v < V; v++) {
        const float dt = timeStep(delta.get(v) + bias[v], softplus).dt;
        if (item.active) xItem[v * (F::rowX / 2)] = t0 + item.t < length ? make_float2(dt, dt * u.get(v)) : make_float2(0.f, 0.f);
      }
      bc.store(p, tile, memory, t0, lane);
      if constexpr (resets.value) loadKeep<F>(p, tile, memory.keep, t0, lane);
      bc.advance(coefficientStride);
      fetch(t0 + stride, at + byteStride);
      __syncwarp();
      float4 pair[R];
#pragma unroll
      for (int t = 0; t < T; t++) {
        float B[S];
        coefficients<F>(B, memory.b, true, t, c, k);
#pragma unroll
        for (int r = 0; r < R; r++) {
          if (t % 2 == 0) pair[r] = *reinterpret_cast<const float4 *>(x + r * lanes * F::rowX + 2 * t);
          const float dt = t % 2 ? pair[r].z : pair[r].x, dtu = t % 2 ? pair[r].w : pair[r].y;
#pragma unroll
          for (int s = 0; s < S; s++) {
            a[r][t][s] = decay(dt, A[r][s]);
            if constexpr (resets.value) a[r][t][s] *= memory.keep[t];
            h[r][t][s] = dtu * B[s];
          }
        }
      }
    };
    [[maybe_unused]] float whole[R][S], local[R][S];
    const auto lookAhead = [&] {
#pragma unroll
      for (int r = 0; r < R; r++) {
#pragma unroll
        for (int s = 0; s < S; s++) {
          whole[r][s] = a[r][0][s];
          local[r][s] = h[r][0][s];
#pragma unroll
          for (int t = 1; t < T; t++) {
            whole[r][s] *= a[r][t][s];
            local[r][s] = fmaf(a[r][t][s], local[r][s], h[r][t][s]);
          }
        }
      }
    };
    prepare();
    if constexpr (ahead) lookAhead();
    for (int round = 0; round < rounds; round++) {
      // The tile was prepared before the loop turned round: within one block of code, the compilers would move its
      // exponentials behind the wait, to save registers.
      if (warps > 1) chain::await(linkBefore);
      float start[R][S];
#pragma unroll
      for (int r = 0; r < R; r++) {
        const auto pack = loadPack<float, S>(before + r * 32 * S);
#pragma unroll
        for (int s = 0; s < S; s++) start[r][s] = pack.x[s];
      }
      const auto walk = [&] {
#pragma unroll
        for (int t = 0; t < T; t++) {
#pragma unroll
          for (int r = 0; r < R; r++) {
#pragma unroll
            for (int s = 0; s < S; s++) h[r][t][s] = fmaf(a[r][t][s], t == 0 ? start[r][s] : h[r][t - 1][s], h[r][t][s]);
          }
        }
      };
      if constexpr (!ahead) walk();
#pragma unroll
      for (int r = 0; r < R; r++) {
        if constexpr (ahead) {
#pragma unroll
          for (int s = 0; s < S; s++) local[r][s] = fmaf(whole[r][s], start[r][s], local[r][s]);
          hand(local[r], r);
        } else {
          hand(h[r][T - 1], r);
        }
      }
      if (warps > 1 && (round + 1 < rounds || warp + 1 < warps)) chain::arrive(warp);
      if constexpr (ahead) walk();
      if ((t0 & chunkMask) == 0 && p.checkpoints != nullptr && t0 < length) {
#pragma unroll
        for (int r = 0; r < R; r++) {
          storeValues<F>(p.checkpoints, start[r], (tile.b * p.chunks + (t0 >> chunkLog2)) * p.channels + channel + r * lanes, k, dState, true);
        }
      }
      float y[R][T];
#pragma unroll
      for (int t = 0; t < T; t++) {
        float C[S];
        coefficients<F>(C, memory.c, true, t, c, k);
#pragma unroll
        for (int r = 0; r < R; r++) {
          y[r][t] = C[0] * h[r][t][0];
#pragma unroll
          for (int s = 1; s < S; s++) y[r][t] = fmaf(C[s], h[r][t][s], y[r][t]);
        }
      }
#pragma unroll
      for (int r = 0; r < R; r++) sumOverStates<F>(y[r], memory.g + (c + r * lanes) * F::rowG, k);
      __syncwarp();
      float out[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
        const float gate = zNow.get(v);
        out[v] = fmaf(skip[v], uNow.get(v), gItem[item.active ? v * F::rowG : 0]);
        out[v] *= gated ? gate * sigmoid(gate) : 1.f;
      }
      if (item.active && t0 + item.t < length && p.y != nullptr) {
        typename Raw<F>::Element stored;
        stored.set(out);
        *reinterpret_cast<decltype(stored.values) *>(static_cast<char *>(p.y) + at) = stored.values;
      }
      t0 += stride;
      at += byteStride;
      prepare();
      if constexpr (ahead) lookAhead();
    }
  });
  if (p.lastState != nullptr && warp == warps - 1) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      const auto pack = loadPack<float, S>(own + r * 32 * S);
      storePack(p.lastState + (stateRow + r * lanes) * dState + k * S, pack);
    }
  }
}

// Forward along a chain of warps: the warps of a block share channels and take tiles of T steps in turn. A warp computes
// the decays and inputs of its tile, waits for the state before it, walks through the tile, hands the state on and only
// then computes y. So nothing is computed twice, and what is serial is T multiply-adds and one passage through shared
// memory a tile. With `ahead` a tile is walked through from zero beforehand, which leaves one multiply-add of that: for
// blocks whose chain would take longer than their work.
#pragma once
#include "chain.cuh"
#include "forward-tile.cuh"

template <class F> struct ChainMemory {
  float *x, *b, *c, *sums, *keep; // c: two places
  __device__ __forceinline__ explicit ChainMemory(float *at)
      : x(at), b(at + F::xFloats), c(b + F::coefficients), sums(c + 2 * F::coefficients), keep(sums + F::pFloats) {}
};

template <class F, bool ahead> __device__ __forceinline__ void forwardChain(const ScanArguments &p) {
  static_assert(!F::M && !F::complex && F::I == 1);
  constexpr int T = F::T, S = F::S, V = F::V, R = F::R, lanes = 32 / F::K;
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S;
  const int length = static_cast<int>(p.length), tiles = tilesPerGroup<F>(p);
  const int chunkLog2 = static_cast<int>(p.chunkLog2);
  const long long index = blockIdx.x;
  const Tile tile = tileOf<F>(p, index / (p.groups * tiles), static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  const ChainMemory<F> memory(base + warp * F::chainFloats);
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const int channel = tile.first + c;

  constexpr int slotFloats = R * 32 * S;
  float *const slots = base + warps * F::chainFloats + lane * S;
  float *const own = slots + warp * slotFloats;
  const int linkBefore = warp == 0 ? warps - 1 : warp - 1;
  const float *const before = slots + linkBefore * slotFloats;
  const auto hand = [&](const float (&state)[S], int r) {
    Pack<float, S> pack;
#pragma unroll
    for (int s = 0; s < S; s++) pack.x[s] = state[s];
    storePack(own + r * 32 * S, pack);
  };
  // Lanes without an item double the last one: they read and write the same as it does.
  const Item<F> item(0, min(lane, F::items - 1));
  const int stride = T * warps, rounds = (length + stride - 1) / stride;
  int t0 = warp * T;
  typename Raw<F>::Element u = {}, delta = {}, z = {};
  constexpr int size = sizeof(typename F::E);
  long long at = itemOffset<F>(p, tile, t0, min(lane, F::items - 1)) * size; // bytes
  const long long byteStride = stride * p.channels * size, coefficientStride = stride * p.groups * dState;
  Coefficients<F> bc(p, tile, t0, lane);
  const void *const gates = gated ? p.z : p.u; // what is read of u is not used
  const int rowBytes = static_cast<int>(p.channels) * size, coefficientRow = static_cast<int>(p.groups) * dState;
  const auto fetch = [&](auto general, int t0, long long at) {
    if constexpr (general.value) at += intoSequence(t0 + item.t, length) * rowBytes;
    const auto read = [&](typename Raw<F>::Element &to, const void *from) {
      to.values = *reinterpret_cast<const decltype(to.values) *>(static_cast<const char *>(from) + at);
    };
    read(u, p.u);
    read(delta, p.delta);
    read(z, gates);
    if constexpr (general.value) bc.loadNearest(t0, length, coefficientRow, lane);
    else bc.loadWhole();
  };
  fetch(std::true_type(), t0, at);

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
  float bias[V] = {}, skip[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[tile.first + item.c + v];
    if (p.D != nullptr) skip[v] = p.D[tile.first + item.c + v];
  }
  const float *const x = memory.x + c * F::rowX;
  float2 *const xItem = reinterpret_cast<float2 *>(base + computedOnce(warp * F::chainFloats + xOfItem<F>(item)));
  float *const laneSums = base + computedOnce(static_cast<int>(memory.sums - base) + sumsOfLane<F>(c, k));
  const float *const itemSums = base + computedOnce(static_cast<int>(memory.sums - base) + sumsOfItem<F>(item));
  const int chunkMask = (1 << chunkLog2) - 1, chunkStart = p.checkpoints != nullptr ? 0 : -1;
  const long long checkpointRow = tile.b * p.chunks * p.channels + channel;

  const int never = static_cast<int>(p.flags >> 32); // zero, which the compilers do not know
  // Of every decay of the next tile. Without anything that takes them before the wait, the exponentials are put one after
  // the other at the end of a round, where nothing runs beside them; `ahead` takes them.
  [[maybe_unused]] int mark = 0;
  int place = 0; // of C of the tile at hand
  auto uNow = u, zNow = z;
  float a[R][T][S], h[R][T][S]; // of the tile at hand; h: dt u B, then the state
  [[maybe_unused]] float sum[R], whole[R][S], local[R][S]; // dt and decay of the tile; where it ends if it starts from zero
  // Takes what was loaded of the tile at t0 to shared memory and loads what comes a round later.
  const auto takeInputs = [&](auto general, int t0, long long at, int place) {
#pragma unroll
    for (int v = 0; v < V; v++) {
      const TimeStep step = timeStep(delta.get(v) + bias[v], softplus);
      const float dt = !general.value || t0 + item.t < length ? step.dt : 0.f;
      xItem[v * (F::rowX / 2)] = make_float2(dt, dt * u.get(v));
    }
    struct {
      float *b, *c;
    } const to{memory.b, memory.c + place};
    bc.store(p, tile, to, t0, lane);
    if constexpr (general.value) loadKeep<F>(p, tile, memory.keep, t0, lane);
    bc.advance(coefficientStride);
    fetch(general, t0 + stride, at + byteStride);
  };
  // From these, of the tile that comes next: decays and dt u of one step; then what they make of B.
  float dtu[R][T];
  float4 pair[R];
  const auto takeDecays = [&](auto general, int t) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (t % 2 == 0) pair[r] = *reinterpret_cast<const float4 *>(x + r * F::perLaneX + 2 * t);
      const float dt = t % 2 ? pair[r].z : pair[r].x;
      dtu[r][t] = t % 2 ? pair[r].w : pair[r].y;
      if constexpr (ahead) sum[r] = t == 0 ? dt : sum[r] + dt;
#pragma unroll
      for (int s = 0; s < S; s++) {
        a[r][t][s] = decay(dt, A[r][s]);
        if constexpr (general.value) a[r][t][s] *= memory.keep[t];
        if constexpr (!ahead) mark ^= __float_as_int(a[r][t][s]);
      }
    }
  };
  const auto takeB = [&](int t) {
    float B[S];
    coefficients<F>(B, memory.b, true, t, c, k);
#pragma unroll
    for (int r = 0; r < R; r++) {
#pragma unroll
      for (int s = 0; s < S; s++) h[r][t][s] = dtu[r][t] * B[s];
    }
  };
  const auto lookAhead = [&](auto general) {
#pragma unroll
    for (int r = 0; r < R; r++) {
#pragma unroll
      for (int s = 0; s < S; s++) {
        whole[r][s] = decay(sum[r], A[r][s]);
        local[r][s] = h[r][0][s];
#pragma unroll
        for (int t = 0; t < T; t++) {
          if constexpr (general.value) whole[r][s] *= memory.keep[t];
          if (t > 0) local[r][s] = fmaf(a[r][t][s], local[r][s], h[r][t][s]);
        }
      }
    }
  };
  const auto takeTurn = [&](auto general, bool handsOn) {
    float start[R][S];
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
    // What all the other warps wait for. A loop that is run through once: within one block of code, the compilers would
    // move the exponentials behind the wait, to save registers, and what comes later before the handing on, to fill slots.
    int again;
    do {
      if (!general.value || warps > 1) chain::await(linkBefore);
      else __syncwarp();
#pragma unroll
      for (int r = 0; r < R; r++) {
        const auto pack = loadPack<float, S>(before + r * 32 * S);
#pragma unroll
        for (int s = 0; s < S; s++) start[r][s] = pack.x[s];
      }
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
      if (handsOn) chain::arrive(warp);
      asm volatile("mov.u32 %0, %1;" : "=r"(again) : "r"(ahead ? never : mark & never));
    } while (again != 0);
    if constexpr (ahead) walk();
    if ((t0 & chunkMask) == chunkStart && (!general.value || t0 < length)) {
#pragma unroll
      for (int r = 0; r < R; r++) {
        storeValues<F>(p.checkpoints, start[r], checkpointRow + (t0 >> chunkLog2) * p.channels + r * lanes, k, dState, true);
      }
    }
    const auto uNext = u, zNext = z;
    takeInputs(general, t0 + stride, at + byteStride, F::coefficients - place);
    float y[R][T];
#pragma unroll
    for (int t = 0; t < T; t++) {
      float C[S];
      coefficients<F>(C, memory.c + place, true, t, c, k);
#pragma unroll
      for (int r = 0; r < R; r++) {
        y[r][t] = C[0] * h[r][t][0];
#pragma unroll
        for (int s = 1; s < S; s++) y[r][t] = fmaf(C[s], h[r][t][s], y[r][t]);
      }
    }
#pragma unroll
    for (int r = 0; r < R; r++) storeSums<F>(laneSums + r * F::perLaneP, y[r]);
    __syncwarp();
    typename Raw<F>::Element stored;
    float out[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
      const float gate = zNow.get(v), silu = gate * sigmoid(gate);
      out[v] = fmaf(skip[v], uNow.get(v), sumOfItem<F>(itemSums, v));
      out[v] *= general.value && !gated ? 1.f : silu;
    }
    stored.set(out);
    if (!general.value || (t0 + item.t < length && p.y != nullptr)) {
      *reinterpret_cast<decltype(stored.values) *>(static_cast<char *>(p.y) + at) = stored.values;
    }
#pragma unroll
    for (int t = 0; t < T; t++) {
      takeDecays(general, t);
      takeB(t);
    }
    if constexpr (ahead) lookAhead(general);
    uNow = uNext;
    zNow = zNext;
    place = F::coefficients - place;
    t0 += stride;
    at += byteStride;
  };
  takeInputs(std::true_type(), t0, at, place);
  __syncwarp();
#pragma unroll
  for (int t = 0; t < T; t++) {
    takeDecays(std::true_type(), t);
    takeB(t);
  }
  if constexpr (ahead) lookAhead(std::true_type());
  // Rounds of Mamba's usual case, after which every warp still has a whole tile and fetches a whole one; then the others.
  const bool usual = p.resets == nullptr && gated && p.y != nullptr && warps > 1;
  int left = rounds;
  for (int plain = usual ? length / stride - 2 : 0; plain > 0; plain--, left--) takeTurn(std::false_type(), true);
  for (; left > 0; left--) takeTurn(std::true_type(), warps > 1 && (left > 1 || warp + 1 < warps));
  if (p.lastState != nullptr && warp == warps - 1) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      const auto pack = loadPack<float, S>(own + r * 32 * S);
      storePack(p.lastState + (stateRow + r * lanes) * dState + k * S, pack);
    }
  }
}

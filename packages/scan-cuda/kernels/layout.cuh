// How a warp is laid over the work. A warp takes `CH` channels of one group and `T` steps; K lanes share a channel, each
// with S states: lane = c K + k holds states k S .. k S + S - 1 of channel c,
// and, where R > 1, also of channels c + 32 / K, ... Loads, dt and the gate are computed in
// another arrangement ("items": V neighbouring channels of one step per lane), and shared memory turns one into the other.
#pragma once
#include "arguments.cuh"
#include "numbers.cuh"

// E: storage of u, delta, z, y and variable B, C. M: masked, any sizes and alignment, constant or variable B and C;
// otherwise dState = K S, B and C are variable, channels of a group are a multiple of CH, and rows are aligned.
template <typename E_, bool complex_, int K_, int S_, bool M_, int R_ = 1, int T_ = 0, int slices_ = 4>
struct Layout {
  using E = E_;
  static constexpr bool complex = complex_, M = M_;
  using Value = typename std::conditional<complex, Complex, float>::type;
  static constexpr int K = K_, S = S_, R = R_, W = complex ? 2 : 1, CH = 32 / K * R;
  static constexpr int T = T_ > 0 ? T_ : 32 / (S * W), slices = slices_; // slices: warps of a block in backward
  static constexpr int V = M || CH < 2 || T * CH <= 32 ? 1 : T * CH <= 64 || (R == 1 && T_ == 0) ? 2 : 4;
  static constexpr int perRow = CH / V, items = T * perRow, I = (items + 31) / 32;
  // shared memory of one warp, in floats
  static constexpr int rowX = 2 * T + 4, rowG = T + 4;
  static constexpr int rowCoefficient = M ? K * S * W : T * S + (S == 4 ? 8 : 4);
  // forward: from one channel of a lane to its next, with a gap for the banks
  static constexpr int perLaneX = 32 / K * rowX + (R == 1 ? 0 : K == 8 ? 28 : 8);
  static constexpr int coefficients = (M ? (T > CH ? T : CH) : K) * rowCoefficient;
  static constexpr int xFloats = R * perLaneX, gFloats = CH * rowG;
  static constexpr int warpFloats = xFloats + 2 * coefficients + 4 * gFloats + 32;
  // Sums of y over a lane's states, where the items' lanes add up those of the K lanes: [k][channel][step], with gaps that
  // spread both the writes (4 steps at once) and the reads over all banks.
  static constexpr int rowP = T + 4, perLaneP = 32 / K * rowP + (K == 8 ? 24 : 8);
  static constexpr int restP = K == 8 ? 4 : 8, strideP = (R * perLaneP + restP - 1) / (2 * restP) * (2 * restP) + restP, pFloats = K * strideP;
  // of a warp that prepares one tile while it works on another
  static constexpr int sumFloats = pFloats > gFloats ? pFloats : gFloats;
  static constexpr int bufferFloats = xFloats + 2 * coefficients + sumFloats + 32, doubleFloats = 2 * bufferFloats;
  // of a warp of a chain: two places for C, which is needed while the next tile is prepared
  static constexpr int chainFloats = xFloats + 3 * coefficients + pFloats + 32;
  static constexpr float twice = complex ? 2.f : 1.f;
};

template <class F> struct WarpMemory {
  float *x, *b, *c, *g, *sums, *keep;
  __device__ __forceinline__ explicit WarpMemory(float *at)
      : x(at), b(at + F::xFloats), c(b + F::coefficients), g(c + F::coefficients), sums(g + F::gFloats), keep(sums + 3 * F::gFloats) {}
};

// One of the two buffers of such a warp.
template <class F> struct TileBuffer {
  float *x, *b, *c, *g, *keep;
  __device__ __forceinline__ explicit TileBuffer(float *at)
      : x(at), b(at + F::xFloats), c(b + F::coefficients), g(c + F::coefficients), keep(g + F::sumFloats) {}
};

// Which channels a warp has.
struct Tile {
  long long b;
  int group, first, valid; // channels first .. first + valid - 1
};

template <class F> __device__ __forceinline__ int tilesPerGroup(const ScanArguments &p) {
  return (static_cast<int>(p.channels / p.groups) + F::CH - 1) / F::CH;
}

template <class F> __device__ __forceinline__ Tile tileOf(const ScanArguments &p, long long b, int group, int tile) {
  const int perGroup = static_cast<int>(p.channels / p.groups), within = tile * F::CH;
  return {b, group, group * perGroup + within, F::M ? min(F::CH, perGroup - within) : F::CH};
}

// S values of row `row` of an array (rows, dState); 0 beyond the edges.
template <class F>
__device__ __forceinline__ void loadValues(typename F::Value (&to)[F::S], const float *from, long long row, int k, int dState, bool valid) {
  if constexpr (!F::M) {
    const auto pack = loadPack<float, F::S>(from + row * (F::K * F::S) + k * F::S);
#pragma unroll
    for (int s = 0; s < F::S; s++) to[s] = pack.x[s];
  } else {
#pragma unroll
    for (int s = 0; s < F::S; s++) {
      setZero(to[s]);
      const int n = k * F::S + s;
      if (valid && n < dState) to[s] = reinterpret_cast<const typename F::Value *>(from)[row * dState + n];
    }
  }
}

template <class F>
__device__ __forceinline__ void storeValues(float *to, const typename F::Value (&from)[F::S], long long row, int k, int dState, bool valid) {
  if constexpr (!F::M) {
    Pack<float, F::S> pack;
#pragma unroll
    for (int s = 0; s < F::S; s++) pack.x[s] = from[s];
    storePack(to + row * (F::K * F::S) + k * F::S, pack);
  } else {
#pragma unroll
    for (int s = 0; s < F::S; s++) {
      const int n = k * F::S + s;
      if (valid && n < dState) reinterpret_cast<typename F::Value *>(to)[row * dState + n] = from[s];
    }
  }
}

// For loads that run ahead without a condition: of `if (inside) x = *from` the compiler makes a load, a wait for it and a
// selection, right where the load was to run ahead. What lies outside of the sequence is read from its nearest step
// instead, and who uses it sets what must vanish (dt, g) to zero.
__device__ __forceinline__ long long intoSequence(int t, int length) { return min(max(t, 0), length - 1) - t; }

// B and C of T steps, in flight between device memory and shared memory.
template <class F> struct Coefficients {
  using E = typename F::E;
  static constexpr int N = F::K * F::S, perPack = F::M ? 1 : 16 / sizeof(E);
  static constexpr int packs = F::M ? 1 : F::T * N / perPack;
  static constexpr int loads = (2 * packs + 31) / 32;
  Stored<E, perPack> raw[loads];
  const E *from[loads]; // of step t0 + the lane's own

  __device__ __forceinline__ Coefficients(const ScanArguments &p, const Tile &tile, int t0, int lane) {
    if constexpr (!F::M) {
#pragma unroll
      for (int j = 0; j < loads; j++) {
        const int i = (lane + 32 * j) % (2 * packs), at = (i < packs ? i : i - packs) * perPack;
        from[j] = static_cast<const E *>(i < packs ? p.B : p.C) + ((tile.b * p.length + t0 + at / N) * p.groups + tile.group) * N + at % N;
      }
    }
  }

  __device__ __forceinline__ void load(int t0, int length, int lane) { load(raw, t0, length, lane); }
  __device__ __forceinline__ void load(Stored<E, perPack> (&raw)[loads], int t0, int length, int lane) const {
    if constexpr (!F::M) {
#pragma unroll
      for (int j = 0; j < loads; j++) {
        const int i = lane + 32 * j, t = t0 + (i < packs ? i : i - packs) * perPack / N;
        raw[j] = {};
        if ((2 * packs % 32 == 0 || i < 2 * packs) && t < length) {
          raw[j].values = *reinterpret_cast<const decltype(raw[j].values) *>(from[j]);
        }
      }
    }
  }
  // A tile within the sequence. Lanes without a pack of their own double others'.
  __device__ __forceinline__ void loadWhole() { loadWhole(raw); }
  __device__ __forceinline__ void loadWhole(Stored<E, perPack> (&raw)[loads]) const {
    static_assert(!F::M);
#pragma unroll
    for (int j = 0; j < loads; j++) raw[j].values = *reinterpret_cast<const decltype(raw[j].values) *>(from[j]);
  }
  // Without a condition: see intoSequence. `row`: elements between steps.
  __device__ __forceinline__ void loadNearest(int t0, int length, int row, int lane) { loadNearest(raw, t0, length, row, lane); }
  __device__ __forceinline__ void loadNearest(Stored<E, perPack> (&raw)[loads], int t0, int length, int row, int lane) const {
    static_assert(!F::M);
#pragma unroll
    for (int j = 0; j < loads; j++) {
      const int i = (lane + 32 * j) % (2 * packs), t = t0 + (i < packs ? i : i - packs) * perPack / N;
      raw[j].values = *reinterpret_cast<const decltype(raw[j].values) *>(from[j] + intoSequence(t, length) * row);
    }
  }
  __device__ __forceinline__ void advance(long long elements) {
    if constexpr (!F::M) {
#pragma unroll
      for (int j = 0; j < loads; j++) from[j] += elements;
    }
  }

  template <class Memory>
  __device__ __forceinline__ void store(const ScanArguments &p, const Tile &tile, const Memory &memory, int t0, int lane) const {
    store(raw, p, tile, memory, t0, lane);
  }
  template <class Memory>
  __device__ __forceinline__ void store(
      const Stored<E, perPack> (&raw)[loads], const ScanArguments &p, const Tile &tile, const Memory &memory, int t0, int lane) const {
    if constexpr (!F::M) {
#pragma unroll
      for (int j = 0; j < loads; j++) {
        const int i = lane + 32 * j, at = (i < packs ? i : i - packs) * perPack, t = at / N, n = at % N;
        if (2 * packs % 32 != 0 && i >= 2 * packs) continue;
        float *to = (i < packs ? memory.b : memory.c) + t * F::S;
#pragma unroll
        for (int e = 0; e < perPack; e += F::S) {
          Pack<float, F::S> values;
#pragma unroll
          for (int s = 0; s < F::S; s++) values.x[s] = raw[j].get(e + s);
          storeShared(to + (n + e) / F::S * F::rowCoefficient, values);
        }
      }
    } else {
      fill(p, tile, memory.b, p.B, p.flags & flagVariableB, t0, lane);
      fill(p, tile, memory.c, p.C, p.flags & flagVariableC, t0, lane);
    }
  }

  // Masked: rows are steps where variable, channels where constant.
  __device__ static void fill(const ScanArguments &p, const Tile &tile, float *to, const void *from, bool variable, int t0, int lane) {
    const int width = static_cast<int>(p.dState) * F::W, rows = variable ? F::T : F::CH;
    for (int row = 0; row < rows; row++) {
      const bool inside = variable ? t0 + row < p.length : row < tile.valid;
      const long long at = (variable ? (tile.b * p.length + t0 + row) * p.groups + tile.group : tile.first + row) * width;
      for (int i = lane; i < F::K * F::S * F::W; i += 32) {
        float value = 0.f;
        if (inside && i < width) value = variable ? toFloat(static_cast<const typename F::E *>(from)[at + i]) : static_cast<const float *>(from)[at + i];
        to[row * F::rowCoefficient + i] = value;
      }
    }
  }
};

// B or C of one step, for one lane.
template <class F>
__device__ __forceinline__ void coefficients(typename F::Value (&to)[F::S], const float *from, bool variable, int t, int c, int k) {
  if constexpr (!F::M) {
    const auto pack = loadPack<float, F::S>(from + k * F::rowCoefficient + t * F::S);
#pragma unroll
    for (int s = 0; s < F::S; s++) to[s] = pack.x[s];
  } else {
    const auto *row = reinterpret_cast<const typename F::Value *>(from + (variable ? t : c) * F::rowCoefficient) + k * F::S;
#pragma unroll
    for (int s = 0; s < F::S; s++) to[s] = row[s];
  }
}

// Items of a lane.
template <class F> struct Item {
  int t, c;
  bool active;
  __device__ __forceinline__ Item(int j, int lane) {
    const int i = j * 32 + lane;
    t = i / F::perRow;
    c = i % F::perRow * F::V;
    active = F::items % 32 == 0 || i < F::items;
  }
};

// Element of u, delta, z, y that item 0 of a lane is, for tile steps from t0 on.
template <class F> __device__ __forceinline__ long long itemOffset(const ScanArguments &p, const Tile &tile, int t0, int lane) {
  const Item<F> item(0, lane);
  return (tile.b * p.length + t0 + item.t) * p.channels + tile.first + item.c;
}

template <class F> struct Raw {
  using Element = Stored<typename F::E, F::V>;
  Element x[F::I];
  __device__ __forceinline__ void load(
      const ScanArguments &p, const Tile &tile, const void *from, long long offset, int t0, int lane, bool present = true) {
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
      x[j] = {};
      if (present && item.active && t0 + item.t < static_cast<int>(p.length) && (!F::M || item.c < tile.valid)) {
        x[j].values = *reinterpret_cast<const decltype(x[j].values) *>(static_cast<const typename F::E *>(from) + offset + j * (32 / F::perRow) * p.channels);
      }
    }
  }
};

// Writes item j of a lane.
template <class F>
__device__ __forceinline__ void storeItem(const ScanArguments &p, const Tile &tile, void *to, int j, long long offset, int t0, int lane, const float (&value)[F::V]) {
  const Item<F> item(j, lane);
  if (item.active && t0 + item.t < static_cast<int>(p.length) && (!F::M || item.c < tile.valid)) {
    typename Raw<F>::Element stored;
    stored.set(value);
    *reinterpret_cast<decltype(stored.values) *>(static_cast<typename F::E *>(to) + offset + j * (32 / F::perRow) * p.channels) = stored.values;
  }
}

// 0 where the state is reset before the step, else 1.
template <class F> __device__ __forceinline__ void loadKeep(const ScanArguments &p, const Tile &tile, float *keep, int t0, int lane) {
  if (lane < F::T) {
    keep[lane] = p.resets != nullptr && t0 + lane < p.length && p.resets[tile.b * p.length + t0 + lane] != 0 ? 0.f : 1.f;
  }
}

// Sums v[t] over the K lanes of a channel and leaves them at to[t]. Each exchange halves what a lane still has to sum.
template <class F> __device__ __forceinline__ void sumOverStates(float (&v)[F::T], float *to, int k) {
  int base = 0, left = F::T;
  bool writes = true;
#pragma unroll
  for (int mask = F::K / 2; mask >= 1; mask /= 2) {
    const bool upper = (k & mask) != 0;
    if (left > 1) {
      left /= 2;
#pragma unroll
      for (int i = 0; i < F::T / 2; i++) {
        if (i >= left) break;
        const float send = upper ? v[i] : v[i + left], keep = upper ? v[i + left] : v[i];
        v[i] = keep + __shfl_xor_sync(0xffffffffu, send, mask);
      }
      if (upper) base += left;
    } else {
      v[0] += __shfl_xor_sync(0xffffffffu, v[0], mask);
      if (upper) writes = false;
    }
  }
  if (writes) {
#pragma unroll
    for (int i = 0; i < F::T; i++) {
      if (i < left) to[base + i] = v[i];
    }
  }
}

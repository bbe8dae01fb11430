// Backward along a chain of warps: the warps of a block share channels and take tiles of T steps in turn, from the end to
// the start. A warp walks through its tile forwards, from the checkpoint before it, with decays and states kept in
// registers, and then backwards from the adjoint that the warp behind hands on:
//   s_t = g_t C_t + a_{t+1} s_{t+1}, q_t = a_t s_t h_{t-1}; dA += dt q, ddt = u (s.B) + q.A, dB += s dt u, dC += g h
// A block does so for `sets` sets of channels, tile by tile, so that dB and dC of a tile first add up over the sets in
// registers, in a fixed order; what is left of them is one array a block, summed by a later kernel. Where channels are
// few, time is cut into segments, whose adjoints at the ends come from adjoint-whole.cuh.
#pragma once
#include "chain.cuh"
#include "layout.cuh"

// Sums dB and dC of a tile over the channels of a warp and stores them. Each exchange halves what a lane still has to sum.
template <class F>
__device__ __forceinline__ void storeTileGradients(
    const ScanArguments &p, float (&sumB)[F::T][F::S], float (&sumC)[F::T][F::S], const Tile &tile, int part, int t0, int lane) {
  const int k = lane % F::K;
  int first = 0, left = F::T;
  bool writes = true;
#pragma unroll
  for (int mask = 16; mask >= F::K; mask /= 2) {
    const bool upper = (lane & mask) != 0, halve = left > 1;
    if (halve) {
      left /= 2;
      if (upper) first += left;
    } else if (upper) {
      writes = false;
    }
    const auto exchange = [&](float (&sums)[F::T][F::S], int i, int s) {
      const float send = halve && !upper ? sums[i + left][s] : sums[i][s];
      const float keep = halve && upper ? sums[i + left][s] : sums[i][s];
      sums[i][s] = keep + __shfl_xor_sync(0xffffffffu, send, mask);
    };
#pragma unroll
    for (int i = 0; i < F::T; i++) {
      if (i >= left) break;
#pragma unroll
      for (int s = 0; s < F::S; s++) {
        exchange(sumB, i, s);
        exchange(sumC, i, s);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < F::T; i++) {
    if (i >= left) break;
    const int t = t0 + first + i;
    if (!writes || t >= p.length) continue;
    const long long row = (tile.b * p.length + t) * p.groups + tile.group;
    if (p.parts > 1) {
      const long long at = part * p.batch * p.length * p.groups + row;
      storeValues<F>(p.partsB, sumB[i], at, k, F::K * F::S, true);
      storeValues<F>(p.partsC, sumC[i], at, k, F::K * F::S, true);
    } else {
      const auto store = [&](void *to, const float (&from)[F::S]) {
        Pack<typename F::E, F::S> pack;
#pragma unroll
        for (int s = 0; s < F::S; s++) pack.x[s] = fromFloat<typename F::E>(from[s]);
        storePack(static_cast<typename F::E *>(to) + row * (F::K * F::S) + k * F::S, pack);
      };
      store(p.gradB, sumB[i]);
      store(p.gradC, sumC[i]);
    }
  }
#pragma unroll
  for (int t = 0; t < F::T; t++) {
#pragma unroll
    for (int s = 0; s < F::S; s++) sumB[t][s] = sumC[t][s] = 0.f;
  }
}

template <class F> __device__ __forceinline__ void backwardChain(const ScanArguments &p) {
  static_assert(!F::M && !F::complex && F::I == 1 && F::R == 1);
  constexpr int T = F::T, S = F::S, V = F::V, part = 32 * S, sumFloats = 32 * (S + 2 * V);
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K, dState = F::K * S, length = static_cast<int>(p.length);
  const int partIndex = blockIdx.x % static_cast<unsigned>(p.parts), segments = static_cast<int>(p.segments);
  const int ofRow = static_cast<int>(p.groups * p.parts), row = blockIdx.x / ofRow, segment = row % segments; // row: of (batch, segments)
  const int from = partIndex * static_cast<int>(p.tilesPerPart), sets = min(static_cast<int>(p.tilesPerPart), tilesPerGroup<F>(p) - from);
  Tile tile = tileOf<F>(p, row / segments, static_cast<int>(blockIdx.x % ofRow / static_cast<unsigned>(p.parts)), from);
  const int firstChannel = tile.first;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const WarpMemory<F> memory(base + warp * F::warpFloats);

  // per set of channels: A, delta bias, D; and per warp: the slot of the adjoint that it hands on, what it has summed up
  constexpr int warpStride = part + sumFloats, ofWarps = part + 2 * F::CH;
  const int setStride = ofWarps + warps * warpStride;
  float *const setData = base + warps * F::warpFloats;
  const float *const incoming = segment + 1 < segments ? p.starts + row * p.channels * dState
      : p.gradLastState != nullptr ? p.gradLastState + tile.b * p.channels * dState : nullptr;
  for (int i = threadIdx.x; i < sets * setStride; i += blockDim.x) {
    const int set = i / setStride, at = i % setStride, channel = firstChannel + set * F::CH;
    float value = 0.f;
    if (at < part) value = scaledA(p.A[static_cast<long long>(channel) * dState + at]);
    else if (at < part + F::CH) value = p.deltaBias != nullptr ? p.deltaBias[channel + at - part] : 0.f;
    else if (at < ofWarps) value = p.D != nullptr ? p.D[channel + at - part - F::CH] : 0.f;
    else if (at < ofWarps + part) value = incoming != nullptr ? incoming[static_cast<long long>(channel) * dState + at - ofWarps] : 0.f;
    else if ((at - ofWarps) % warpStride < part) value = __uint_as_float(chain::empty);
    setData[i] = value;
  }
  __syncthreads();
  const float *ofSet = setData;
  float *own = setData + ofWarps + warp * warpStride; // of the set at hand
  const int behind = (warp + 1 == warps ? -warp : 1) * warpStride;

  constexpr int size = sizeof(typename F::E);
  const int stride = T * warps, begin = segment * static_cast<int>(p.segmentSteps);
  const int rounds = (min(static_cast<int>(p.segmentSteps), length - begin) + stride - 1) / stride;
  int t0 = begin + (rounds - 1) * stride + warp * T;
  const Item<F> item(0, lane);
  const long long coefficientStride = stride * p.groups * dState, wrap = (stride * p.channels + (sets - 1) * F::CH) * size;
  const long long checkpointWrap = (warps * p.channels + (sets - 1) * F::CH) * dState;
  long long offset = itemOffset<F>(p, tile, t0, lane) * size; // bytes
  long long checkpointAt = ((tile.b * p.chunks + t0 / T) * p.channels + tile.first + c) * dState + k * S;
  Coefficients<F> bc(p, tile, t0, lane);
  typename Raw<F>::Element u, delta, z, gradY;
  Pack<float, S> checkpoint;
  const auto fetch = [&](int at) { // conditional, other than in forward: here the registers do not suffice for more
    const bool inside = at >= 0 && at + item.t < length;
    const auto read = [&](typename Raw<F>::Element &to, const void *array, bool present) {
      to = {};
      if (present) to.values = *reinterpret_cast<const decltype(to.values) *>(static_cast<const char *>(array) + offset);
    };
    read(u, p.u, inside);
    read(delta, p.delta, inside);
    read(z, p.z, inside && gated);
    read(gradY, p.gradY, inside);
    checkpoint = {};
    if (at >= 0 && at < length) checkpoint = loadPack<float, S>(p.checkpoints + checkpointAt);
  };
  const auto write = [](void *to, long long offset, const float (&values)[V], bool present) {
    typename Raw<F>::Element stored;
    stored.set(values);
    if (present) *reinterpret_cast<decltype(stored.values) *>(static_cast<char *>(to) + offset) = stored.values;
  };
  const int coefficientRow = static_cast<int>(p.groups) * dState;
  bc.loadNearest(t0, length, coefficientRow, lane);
  fetch(t0);

  float sumB[T][S], sumC[T][S];
#pragma unroll
  for (int t = 0; t < T; t++) {
#pragma unroll
    for (int s = 0; s < S; s++) sumB[t][s] = sumC[t][s] = 0.f;
  }

  specialize(p.resets != nullptr, [&](auto resets) {
    for (int set = 0; t0 >= begin;) {
      const bool lastSet = set + 1 == sets;
      if (set == 0) {
        bc.store(p, tile, memory, t0, lane);
        if constexpr (resets.value) loadKeep<F>(p, tile, memory.keep, t0, lane);
        bc.advance(-coefficientStride);
        bc.loadNearest(t0 - stride, length, coefficientRow, lane);
      }
      const auto uNow = u, zNow = z, gradNow = gradY;
      struct {
        float dt, slope, sigmoid, skip;
      } kept[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
        const float bias = ofSet[part + item.c + v];
        kept[v].skip = ofSet[part + F::CH + item.c + v];
        const TimeStep step = timeStep(delta.get(v) + bias, softplus);
        const bool inside = t0 + item.t < length;
        const float gate = z.get(v), s = sigmoid(gate), g = gradY.get(v) * (gated ? gate * s : 1.f);
        kept[v].dt = step.dt;
        kept[v].slope = step.slope;
        kept[v].sigmoid = s;
        *reinterpret_cast<float2 *>(memory.x + (item.c + v) * F::rowX + 2 * item.t) = inside ? make_float2(step.dt, step.dt * u.get(v)) : make_float2(0.f, 0.f);
        memory.g[(item.c + v) * F::rowG + item.t] = inside ? g : 0.f;
      }
      float start[S];
#pragma unroll
      for (int s = 0; s < S; s++) start[s] = checkpoint.x[s];
      const long long offsetNow = offset;
      offset += lastSet ? -wrap : F::CH * size;
      checkpointAt += lastSet ? -checkpointWrap : F::CH * dState;
      fetch(lastSet ? t0 - stride : t0);
      __syncwarp();

      float A[S], a[T][S], h[T][S];
      {
        const auto pack = loadPack<float, S>(ofSet + lane * S);
#pragma unroll
        for (int s = 0; s < S; s++) A[s] = pack.x[s];
      }
      const float *const x = memory.x + c * F::rowX;
      float4 pairs[T / 2];
#pragma unroll
      for (int t = 0; t < T; t++) {
        if (t % 2 == 0) pairs[t / 2] = *reinterpret_cast<const float4 *>(x + 2 * t);
        float B[S];
        coefficients<F>(B, memory.b, true, t, c, k);
#pragma unroll
        for (int s = 0; s < S; s++) {
          a[t][s] = decay(t % 2 ? pairs[t / 2].z : pairs[t / 2].x, A[s]);
          if constexpr (resets.value) a[t][s] *= memory.keep[t];
          h[t][s] = (t % 2 ? pairs[t / 2].w : pairs[t / 2].y) * B[s];
        }
      }
#pragma unroll
      for (int t = 0; t < T; t++) {
#pragma unroll
        for (int s = 0; s < S; s++) h[t][s] = fmaf(a[t][s], t == 0 ? start[s] : h[t - 1][s], h[t][s]);
      }

      float carry[S];
      chain::take<S>(chain::addressOf(own + behind + lane * S), carry);
      float y[T];
      {
        float4 fours[T / 4];
#pragma unroll
        for (int t = T - 1; t >= 0; t--) {
          if (t % 4 == 3) fours[t / 4] = *reinterpret_cast<const float4 *>(memory.g + c * F::rowG + t - 3);
          const float4 four = fours[t / 4];
          const float g = t % 4 == 0 ? four.x : t % 4 == 1 ? four.y : t % 4 == 2 ? four.z : four.w;
          float C[S];
          coefficients<F>(C, memory.c, true, t, c, k);
          y[t] = 0.f;
#pragma unroll
          for (int s = 0; s < S; s++) {
            const float adjoint = fmaf(g, C[s], carry[s]);
            carry[s] = a[t][s] * adjoint;
            a[t][s] = adjoint;
            y[t] = fmaf(C[s], h[t][s], y[t]);
            sumC[t][s] = fmaf(g, h[t][s], sumC[t][s]);
            h[t][s] = carry[s] * (t == 0 ? start[s] : h[t - 1][s]); // q
          }
        }
      }
      chain::put<S>(chain::addressOf(own + lane * S), carry);
      sumOverStates<F>(y, memory.sums + c * F::rowG, k);
      float *const ownSums = own + part + lane * S;
      {
        auto dA = loadPack<float, S>(ownSums);
        float alongB[T], alongState[T];
#pragma unroll
        for (int t = T - 1; t >= 0; t--) {
          const float dt = t % 2 ? pairs[t / 2].z : pairs[t / 2].x, dtu = t % 2 ? pairs[t / 2].w : pairs[t / 2].y;
          float B[S];
          coefficients<F>(B, memory.b, true, t, c, k);
          alongB[t] = alongState[t] = 0.f;
#pragma unroll
          for (int s = 0; s < S; s++) {
            sumB[t][s] = fmaf(dtu, a[t][s], sumB[t][s]);
            alongB[t] = fmaf(a[t][s], B[s], alongB[t]);
            dA.x[s] = fmaf(dt, h[t][s], dA.x[s]);
            alongState[t] = fmaf(h[t][s], A[s], alongState[t]);
          }
        }
        storePack(ownSums, dA);
        sumOverStates<F>(alongB, memory.sums + F::gFloats + c * F::rowG, k);
        sumOverStates<F>(alongState, memory.sums + 2 * F::gFloats + c * F::rowG, k);
      }
      __syncwarp();

      {
        float *const perItem = own + 2 * part + lane * 2 * V;
        auto ofItem = loadPack<float, 2 * V>(perItem); // sums for D, then for the delta bias
        const bool inside = t0 + item.t < length;
        float du[V], dDelta[V], dz[V];
#pragma unroll
        for (int v = 0; v < V; v++) {
          const int at = (item.c + v) * F::rowG + item.t;
          const float uOf = uNow.get(v), gradOf = gradNow.get(v), gate = zNow.get(v), s = kept[v].sigmoid;
          const float y = fmaf(kept[v].skip, uOf, memory.sums[at]);
          const float g = gradOf * (gated ? gate * s : 1.f);
          dz[v] = gradOf * y * s * fmaf(gate, 1.f - s, 1.f); // y silu'(z)
          const float alongB = memory.sums[F::gFloats + at], alongState = memory.sums[2 * F::gFloats + at];
          du[v] = fmaf(kept[v].skip, g, kept[v].dt * alongB);
          dDelta[v] = fmaf(alongB, uOf, ln2 * alongState) * kept[v].slope;
          ofItem.x[v] = inside ? fmaf(g, uOf, ofItem.x[v]) : ofItem.x[v];
          ofItem.x[V + v] += inside ? dDelta[v] : 0.f;
        }
        write(p.gradU, offsetNow, du, inside);
        write(p.gradDelta, offsetNow, dDelta, inside);
        write(p.gradZ, offsetNow, dz, inside && gated);
        storePack(perItem, ofItem);
      }
      if (lastSet) {
        storeTileGradients<F>(p, sumB, sumC, tile, partIndex, t0, lane);
        t0 -= stride;
        ofSet -= set * setStride;
        own -= set * setStride;
        tile.first = firstChannel;
        set = 0;
      } else {
        ofSet += setStride;
        own += setStride;
        tile.first += F::CH;
        set++;
      }
      __syncwarp();
    }
  });

  // what the first tile hands on, and the warps' sums, in their order
  __syncthreads();
  int block; // read again, so that nothing of what follows takes registers in the loop
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(block));
  const long long outRow = block / ofRow * p.channels + firstChannel;
  for (int i = threadIdx.x; i < sets * part && block / ofRow % segments == 0 && p.gradInitialState != nullptr; i += blockDim.x) {
    p.gradInitialState[(tile.b * p.channels + firstChannel) * dState + i] = setData[i / part * setStride + ofWarps + i % part];
  }
  for (int i = threadIdx.x; i < sets * part; i += blockDim.x) {
    float sum = 0.f;
    for (int w = 0; w < warps; w++) sum += setData[i / part * setStride + ofWarps + w * warpStride + part + i % part];
    p.adjoints[outRow * dState + i] = sum;
  }
  for (int i = threadIdx.x; i < sets * F::CH; i += blockDim.x) {
    const int set = i / F::CH, within = i % F::CH;
    float sumD = 0.f, sumBias = 0.f;
    for (int w = 0; w < warps; w++) {
      for (int at = within / V; at < 32; at += F::perRow) {
        const float *const ofItem = setData + set * setStride + ofWarps + w * warpStride + 2 * part + at * 2 * V + within % V;
        sumD += ofItem[0];
        sumBias += ofItem[V];
      }
    }
    if (p.partsD != nullptr) p.partsD[outRow + i] = sumD;
    if (p.partsBias != nullptr) p.partsBias[outRow + i] = sumBias;
  }
}

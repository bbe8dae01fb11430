// First half of backward: s_t = k g_t conj(C_t) + conj(a_{t+1}) s_{t+1} from the end to the start, of which only the
// carries conj(a_t) s_t at chunk boundaries are kept, and the gradient of the initial state. Warps of a block take tiles
// of T steps in turn, as in forward.
#pragma once
#include "layout.cuh"

template <class F> __device__ __forceinline__ void adjointScan(const ScanArguments &p) {
  using Value = typename F::Value;
  constexpr int T = F::T, S = F::S, V = F::V;
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, slice = threadIdx.x >> 5, slices = blockDim.x >> 5;
  const int c = lane / F::K, k = lane % F::K;
  const int length = static_cast<int>(p.length), dState = static_cast<int>(p.dState), tiles = tilesPerGroup<F>(p);
  const int chunkLog2 = static_cast<int>(p.chunkLog2), chunkMask = (1 << chunkLog2) - 1;
  const long long index = blockIdx.x;
  const Tile tile = tileOf<F>(p, index / (p.groups * tiles), static_cast<int>(index / tiles % p.groups), static_cast<int>(index % tiles));
  const WarpMemory<F> memory(base + slice * F::warpFloats);
  const bool valid = !F::M || c < tile.valid;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus, variableC = p.flags & flagVariableC;
  const int channel = tile.first + (valid ? c : 0);
  const long long stateRow = tile.b * p.channels + channel;

  Value A[S], carry[S];
  loadValues<F>(A, p.A, channel, k, dState, valid);
#pragma unroll
  for (int s = 0; s < S; s++) {
    A[s] = conjugate(scaledA(A[s]));
    setZero(carry[s]);
  }
  if (p.gradLastState != nullptr) loadValues<F>(carry, p.gradLastState, stateRow, k, dState, valid);
  float bias[V] = {};
#pragma unroll
  for (int v = 0; v < V; v++) {
    const Item<F> item(0, lane);
    if (p.deltaBias != nullptr) bias[v] = p.deltaBias[tile.first + (F::M ? min(item.c + v, tile.valid - 1) : item.c + v)];
  }

  Raw<F> delta, z, gradY;
  const int stride = T * slices, rounds = (length + stride - 1) / stride;
  int t0 = (rounds - 1) * stride + (slices - 1 - slice) * T;
  long long offset = itemOffset<F>(p, tile, t0, lane);
  const long long offsetStride = stride * p.channels, coefficientStride = stride * p.groups * F::K * S;
  Coefficients<F> bc(p, tile, t0, lane);
  delta.load(p, tile, p.delta, offset, t0, lane);
  z.load(p, tile, p.z, offset, t0, lane, gated);
  gradY.load(p, tile, p.gradY, offset, t0, lane);
  bc.load(t0, length, lane);

  for (int round = 0; round < rounds; round++, t0 -= stride) {
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
#pragma unroll
      for (int v = 0; v < V; v++) {
        const TimeStep step = timeStep(delta.x[j].get(v) + bias[v], softplus);
        const float dt = t0 + item.t < length ? step.dt : 0.f;
        float g = F::twice * gradY.x[j].get(v);
        if (gated) {
          const float gate = z.x[j].get(v);
          g *= gate * sigmoid(gate);
        }
        if (item.active) *reinterpret_cast<float2 *>(memory.x + (item.c + v) * F::rowX + 2 * item.t) = make_float2(dt, g);
      }
    }
    bc.store(p, tile, memory, t0, lane);
    loadKeep<F>(p, tile, memory.keep, t0, lane);
    if (round + 1 < rounds) {
      offset -= offsetStride;
      bc.advance(-coefficientStride);
      delta.load(p, tile, p.delta, offset, t0 - stride, lane);
      z.load(p, tile, p.z, offset, t0 - stride, lane, gated);
      gradY.load(p, tile, p.gradY, offset, t0 - stride, lane);
      bc.load(t0 - stride, length, lane);
    }
    __syncwarp();

    const float *const x = memory.x + c * F::rowX;
    Value local[S];
    float sum = 0.f, keepAll = 1.f;
    float4 pair;
#pragma unroll
    for (int s = 0; s < S; s++) setZero(local[s]);
    specialize(p.resets != nullptr, [&](auto resets) {
#pragma unroll
      for (int t = T - 1; t >= 0; t--) {
        if (t % 2 == 1) pair = *reinterpret_cast<const float4 *>(x + 2 * t - 2);
        const float dt = t % 2 ? pair.z : pair.x, g = t % 2 ? pair.w : pair.y;
        sum += dt;
        if constexpr (resets.value) keepAll *= memory.keep[t];
        Value C[S];
        coefficients<F>(C, memory.c, variableC, t, c, k);
#pragma unroll
        for (int s = 0; s < S; s++) {
          Value a = decay(dt, A[s]);
          if constexpr (resets.value) a = scale(memory.keep[t], a);
          local[s] = multiply(a, scaleAdd(g, conjugate(C[s]), local[s]));
        }
      }
    });
    constexpr int part = 32 * S * F::W;
    float *const exchange = base + slices * F::warpFloats + (round & 1) * slices * 2 * part;
    Pack<Value, S> packed;
#pragma unroll
    for (int s = 0; s < S; s++) packed.x[s] = scale(keepAll, decay(sum, A[s]));
    storePack(reinterpret_cast<Value *>(exchange + slice * 2 * part) + lane * S, packed);
#pragma unroll
    for (int s = 0; s < S; s++) packed.x[s] = local[s];
    storePack(reinterpret_cast<Value *>(exchange + (slice * 2 + 1) * part) + lane * S, packed);
    __syncthreads();
    Value end[S];
#pragma unroll 4
    for (int j = 0; j < slices; j++) {
      const auto wholeOf = loadPack<Value, S>(reinterpret_cast<const Value *>(exchange + j * 2 * part) + lane * S);
      const auto localOf = loadPack<Value, S>(reinterpret_cast<const Value *>(exchange + (j * 2 + 1) * part) + lane * S);
#pragma unroll
      for (int s = 0; s < S; s++) {
        if (j == slice) end[s] = carry[s];
        carry[s] = multiplyAdd(wholeOf.x[s], carry[s], localOf.x[s]);
      }
    }
    // What comes back into a chunk from behind it; tiles may end before the last chunk does, or go on behind it.
    const bool last = round == 0 && slice == 0;
    const int behind = last ? static_cast<int>(p.chunks) : (t0 + T) >> chunkLog2;
    if (last || (((t0 + T) & chunkMask) == 0 && behind < p.chunks)) {
      storeValues<F>(p.adjoints, end, (tile.b * p.chunks + behind - 1) * p.channels + channel, k, dState, valid);
    }
    __syncwarp();
  }
  if (p.gradInitialState != nullptr && slice == 0) storeValues<F>(p.gradInitialState, carry, stateRow, k, dState, valid);
}

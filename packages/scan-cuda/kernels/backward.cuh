// Second half of backward, parallel over chunks of `slices` T steps: a block takes one chunk and walks over the channels
// of a group (or a part of them), so that dB and dC of the chunk add up in registers in a fixed order. Per channel: states
// and adjoints at the chunk's two ends come from the passes before; each warp scans its T steps in both directions from
// zero, the block exchanges tile decays and ends, and the decays, kept in registers, finish both directions:
//   q_t = s_t conj(a_t h_{t-1}), dA += dt q, ddt = u Re(s conj(B)) + Re(q conj(A)), dB += s dt u, dC += k g conj(h)
#pragma once
#include "layout.cuh"

template <class F>
__device__ __forceinline__ void storeCoefficientGradient(
    const ScanArguments &p, void *whole, float *parts, bool variable, typename F::Value (&sums)[F::T][F::S], const Tile &tile, int part, int t0, int lane) {
  if (!variable || whole == nullptr) return;
  const int c = lane / F::K, k = lane % F::K, dState = static_cast<int>(p.dState);
#pragma unroll
  for (int t = 0; t < F::T; t++) {
#pragma unroll
    for (int s = 0; s < F::S; s++) {
#pragma unroll
      for (int mask = F::K; mask < 32; mask *= 2) sums[t][s] = add(sums[t][s], shuffleXor(sums[t][s], mask));
    }
    if (t % F::CH != c || t0 + t >= p.length) continue;
    const long long row = (tile.b * p.length + t0 + t) * p.groups + tile.group;
    if (p.parts > 1) {
      storeValues<F>(parts, sums[t], part * p.batch * p.length * p.groups + row, k, dState, true);
      continue;
    }
#pragma unroll
    for (int s = 0; s < F::S; s++) {
      const int n = k * F::S + s;
      if (F::M && n >= dState) continue;
      auto *to = static_cast<typename F::E *>(whole) + (row * dState + n) * F::W;
      const float *from = reinterpret_cast<const float *>(&sums[t][s]);
#pragma unroll
      for (int w = 0; w < F::W; w++) to[w] = fromFloat<typename F::E>(from[w]);
    }
  }
}

// Constant B or C: the sums of one chunk, per channel.
template <class F>
__device__ __forceinline__ void collapseTime(typename F::Value (&to)[F::S], typename F::Value (&sums)[F::T][F::S]) {
#pragma unroll
  for (int s = 0; s < F::S; s++) {
    setZero(to[s]);
#pragma unroll
    for (int t = 0; t < F::T; t++) {
      to[s] = add(to[s], sums[t][s]);
      setZero(sums[t][s]);
    }
  }
}

template <class F> __device__ __forceinline__ void backwardScan(const ScanArguments &p) {
  using Value = typename F::Value;
  constexpr int T = F::T, S = F::S, V = F::V, slices = F::slices, part = 32 * S * F::W;
  extern __shared__ float4 shared[];
  float *const base = reinterpret_cast<float *>(shared);
  const int lane = threadIdx.x & 31, slice = threadIdx.x >> 5;
  const int c = lane / F::K, k = lane % F::K;
  const int length = static_cast<int>(p.length), dState = static_cast<int>(p.dState);
  const int partIndex = blockIdx.x % static_cast<unsigned>(p.parts);
  long long index = blockIdx.x / static_cast<unsigned>(p.parts);
  const int group = index % p.groups;
  index /= p.groups;
  const long long b = index / p.chunks, chunk = index % p.chunks;
  const int t0 = static_cast<int>(chunk) * (slices * T) + slice * T;
  const bool gated = p.z != nullptr;
  const bool softplus = p.flags & flagSoftplus;
  const bool variableB = !F::M || (p.flags & flagVariableB), variableC = !F::M || (p.flags & flagVariableC);
  const WarpMemory<F> memory(base + slice * F::warpFloats);
  // buffers of [slice][whole, local state, local adjoint][lane][S], and [slice][dA, dB, dC][lane][S] with the
  // slices' [CH][dD, dBias] behind
  constexpr int sumsFloats = slices * (F::M ? 3 : 1) * part + slices * 2 * F::CH;
  float *const exchanges = base + slices * F::warpFloats;
  constexpr int buffers = F::M ? 1 : 2; // one buffer and one more barrier where shared memory is short
  float *const sumsBuffers = exchanges + buffers * slices * 3 * part;

  Value sumB[T][S], sumC[T][S];
#pragma unroll
  for (int t = 0; t < T; t++) {
#pragma unroll
    for (int s = 0; s < S; s++) {
      setZero(sumB[t][s]);
      setZero(sumC[t][s]);
    }
  }

  const int tiles = tilesPerGroup<F>(p);
  const int from = partIndex * static_cast<int>(p.tilesPerPart), to = min(tiles, from + static_cast<int>(p.tilesPerPart));
  Tile tile = tileOf<F>(p, b, group, from);
  const int groupEnd = (group + 1) * static_cast<int>(p.channels / p.groups);
  Coefficients<F> bc(p, tile, t0, lane);
  if constexpr (!F::M) {
    bc.load(t0, length, lane);
    bc.store(p, tile, memory, t0, lane);
  }
  loadKeep<F>(p, tile, memory.keep, t0, lane);

  Raw<F> u, delta, z, gradY;
  Value h[S], carry[S], A[S];
  float biasAhead[V] = {}, skipAhead[V] = {};
  const long long boundaryRow = (b * p.chunks + chunk) * p.channels;
  const long long rowOffset = itemOffset<F>(p, tile, t0, lane) - tile.first;
  const auto load = [](float (&to)[V], const float *at) {
    const auto pack = loadPack<float, V>(at);
#pragma unroll
    for (int v = 0; v < V; v++) to[v] = pack.x[v];
  };
  const auto fetch = [&](const Tile &of) {
    const long long offset = rowOffset + of.first;
    u.load(p, of, p.u, offset, t0, lane);
    delta.load(p, of, p.delta, offset, t0, lane);
    z.load(p, of, p.z, offset, t0, lane, gated);
    gradY.load(p, of, p.gradY, offset, t0, lane);
    const bool valid = !F::M || c < of.valid;
    const int channel = of.first + (valid ? c : 0);
    loadValues<F>(h, p.checkpoints, boundaryRow + channel, k, dState, valid);
    loadValues<F>(carry, p.adjoints, boundaryRow + channel, k, dState, valid);
    loadValues<F>(A, p.A, channel, k, dState, valid);
    const Item<F> item(0, lane);
    const int first = of.first + (F::M ? min(item.c, of.valid - 1) : item.c);
    if (p.deltaBias != nullptr) load(biasAhead, p.deltaBias + first);
    if (p.D != nullptr) load(skipAhead, p.D + first);
  };
  // adds up what the slices left of the tile before, and stores it
  const auto storeSums = [&](const Tile &of, const float *sums) {
    const int width = S * F::K * F::W;
    for (int which = 0; which < (F::M ? 3 : 1); which++) {
      if (which == 1 && variableB) continue;
      if (which == 2 && variableC) continue;
      float *const out = which == 0 ? p.adjoints : which == 1 ? p.partsB : p.partsC;
      for (int i = threadIdx.x; i < part; i += slices * 32) {
        float sum = 0.f;
#pragma unroll
        for (int j = 0; j < slices; j++) sum += sums[(j * (F::M ? 3 : 1) + which) * part + i];
        const int channel = i / width, within = i % width;
        if (!F::M || (channel < of.valid && within < dState * F::W)) {
          out[(boundaryRow + of.first + channel) * (dState * F::W) + within] = sum;
        }
      }
    }
    const int at = threadIdx.x;
    if (at < 2 * F::CH) {
      const int channel = at % F::CH;
      float *const out = at < F::CH ? p.partsD : p.partsBias;
      if (out != nullptr && (!F::M || channel < of.valid)) {
        float sum = 0.f;
#pragma unroll
        for (int j = 0; j < slices; j++) sum += sums[slices * (F::M ? 3 : 1) * part + j * 2 * F::CH + at];
        out[boundaryRow + of.first + channel] = sum;
      }
    }
  };

  if (from < to) fetch(tile);
  Tile before = tile;
  for (int i = from; i < to; i++) {
    float *const sums = sumsBuffers + (i & 1) * (buffers - 1) * sumsFloats;
    float bias[V], skip[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
      bias[v] = biasAhead[v];
      skip[v] = skipAhead[v];
    }
    const Raw<F> uNow = u, zNow = z, gradNow = gradY;
    struct {
      float dt, slope, sigmoid;
    } kept[F::I][V];
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
#pragma unroll
      for (int v = 0; v < V; v++) {
        const TimeStep step = timeStep(delta.x[j].get(v) + bias[v], softplus);
        const float dt = t0 + item.t < length ? step.dt : 0.f;
        const float gate = z.x[j].get(v), s = sigmoid(gate), silu = gated ? gate * s : 1.f;
        const float g = F::twice * gradY.x[j].get(v) * silu;
        kept[j][v] = {step.dt, step.slope, s};
        if (!item.active) continue;
        *reinterpret_cast<float2 *>(memory.x + (item.c + v) * F::rowX + 2 * item.t) = make_float2(dt, dt * u.x[j].get(v));
        memory.g[(item.c + v) * F::rowG + item.t] = g;
      }
    }
    if constexpr (F::M) bc.store(p, tile, memory, t0, lane);
    Value hNow[S], carryNow[S], ANow[S];
#pragma unroll
    for (int s = 0; s < S; s++) {
      hNow[s] = h[s];
      carryNow[s] = carry[s];
      ANow[s] = scaledA(A[s]);
    }
    const Tile now = tile;
    if (i + 1 < to) {
      tile.first += F::CH;
      if (F::M) tile.valid = min(F::CH, groupEnd - tile.first);
      fetch(tile);
    }
    __syncwarp();

    const float *const x = memory.x + c * F::rowX;
    const float *const gRow = memory.g + c * F::rowG;
    Value a[T][S], ah[T][S], whole[S], localH[S], localS[S];
    float sum = 0.f, keepAll = 1.f;
    float4 pair;
#pragma unroll
    for (int s = 0; s < S; s++) {
      setZero(localH[s]);
      setZero(localS[s]);
    }
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
          a[t][s] = decay(dt, ANow[s]);
          if constexpr (resets.value) a[t][s] = scale(memory.keep[t], a[t][s]);
          localH[s] = multiplyAdd(a[t][s], localH[s], scale(dtu, B[s]));
        }
      }
    });
#pragma unroll
    for (int t = T - 1; t >= 0; t--) {
      const float g = gRow[t];
      Value C[S];
      coefficients<F>(C, memory.c, variableC, t, c, k);
#pragma unroll
      for (int s = 0; s < S; s++) localS[s] = multiply(conjugate(a[t][s]), scaleAdd(g, conjugate(C[s]), localS[s]));
    }
#pragma unroll
    for (int s = 0; s < S; s++) whole[s] = scale(keepAll, decay(sum, ANow[s]));

    Value *const exchange = reinterpret_cast<Value *>(exchanges + (i & 1) * (buffers - 1) * slices * 3 * part) + lane * S;
    Pack<Value, S> packed;
#pragma unroll
    for (int s = 0; s < S; s++) packed.x[s] = whole[s];
    storePack(exchange + slice * 3 * 32 * S, packed);
#pragma unroll
    for (int s = 0; s < S; s++) packed.x[s] = localH[s];
    storePack(exchange + (slice * 3 + 1) * 32 * S, packed);
#pragma unroll
    for (int s = 0; s < S; s++) packed.x[s] = localS[s];
    storePack(exchange + (slice * 3 + 2) * 32 * S, packed);
    __syncthreads();
#pragma unroll
    for (int j = 0; j < slices - 1; j++) {
      if (j >= slice) continue;
      const auto wholeOf = loadPack<Value, S>(exchange + j * 3 * 32 * S), localOf = loadPack<Value, S>(exchange + (j * 3 + 1) * 32 * S);
#pragma unroll
      for (int s = 0; s < S; s++) hNow[s] = multiplyAdd(wholeOf.x[s], hNow[s], localOf.x[s]);
    }
#pragma unroll
    for (int j = slices - 1; j > 0; j--) {
      if (j <= slice) continue;
      const auto wholeOf = loadPack<Value, S>(exchange + j * 3 * 32 * S), localOf = loadPack<Value, S>(exchange + (j * 3 + 2) * 32 * S);
#pragma unroll
      for (int s = 0; s < S; s++) carryNow[s] = multiplyAdd(conjugate(wholeOf.x[s]), carryNow[s], localOf.x[s]);
    }
    if (!F::M && i > from) storeSums(before, sumsBuffers + ((i + 1) & 1) * sumsFloats);
    before = now;

    { // forwards: states, y (for the gate's gradient), dC
      float y[T];
#pragma unroll
      for (int t = 0; t < T; t++) {
        if (t % 2 == 0) pair = *reinterpret_cast<const float4 *>(x + 2 * t);
        const float dtu = t % 2 ? pair.w : pair.y, g = gRow[t];
        Value B[S], C[S];
        coefficients<F>(B, memory.b, variableB, t, c, k);
        coefficients<F>(C, memory.c, variableC, t, c, k);
        y[t] = 0.f;
#pragma unroll
        for (int s = 0; s < S; s++) {
          ah[t][s] = multiply(a[t][s], hNow[s]);
          hNow[s] = scaleAdd(dtu, B[s], ah[t][s]);
          y[t] = realOfProduct(C[s], hNow[s], y[t]);
          sumC[t][s] = scaleAdd(g, conjugate(hNow[s]), sumC[t][s]);
        }
      }
      if (gated) sumOverStates<F>(y, memory.sums + c * F::rowG, k);
    }
    Value dA[S];
#pragma unroll
    for (int s = 0; s < S; s++) setZero(dA[s]);
    { // backwards: adjoints and the rest
      float alongB[T], alongState[T];
#pragma unroll
      for (int t = T - 1; t >= 0; t--) {
        if (t % 2 == 1) pair = *reinterpret_cast<const float4 *>(x + 2 * t - 2);
        const float dt = t % 2 ? pair.z : pair.x, dtu = t % 2 ? pair.w : pair.y, g = gRow[t];
        Value B[S], C[S];
        coefficients<F>(B, memory.b, variableB, t, c, k);
        coefficients<F>(C, memory.c, variableC, t, c, k);
        alongB[t] = 0.f;
        alongState[t] = 0.f;
#pragma unroll
        for (int s = 0; s < S; s++) {
          const Value adjoint = scaleAdd(g, conjugate(C[s]), carryNow[s]);
          sumB[t][s] = scaleAdd(dtu, adjoint, sumB[t][s]);
          alongB[t] = realOfProduct(adjoint, conjugate(B[s]), alongB[t]);
          const Value q = multiply(adjoint, conjugate(ah[t][s]));
          dA[s] = scaleAdd(dt, q, dA[s]);
          alongState[t] = alongA(q, ANow[s], alongState[t]);
          carryNow[s] = multiply(conjugate(a[t][s]), adjoint);
        }
      }
      sumOverStates<F>(alongB, memory.sums + F::gFloats + c * F::rowG, k);
      sumOverStates<F>(alongState, memory.sums + 2 * F::gFloats + c * F::rowG, k);
    }
    {
      Value *const to = reinterpret_cast<Value *>(sums) + (slice * (F::M ? 3 : 1)) * 32 * S + lane * S;
#pragma unroll
      for (int s = 0; s < S; s++) packed.x[s] = dA[s];
      storePack(to, packed);
      if constexpr (F::M) {
        if (!variableB) {
          collapseTime<F>(dA, sumB);
#pragma unroll
          for (int s = 0; s < S; s++) packed.x[s] = dA[s];
          storePack(to + 32 * S, packed);
        }
        if (!variableC) {
          collapseTime<F>(dA, sumC);
#pragma unroll
          for (int s = 0; s < S; s++) packed.x[s] = dA[s];
          storePack(to + 2 * 32 * S, packed);
        }
      }
    }
    __syncwarp();

    float sumD[V] = {}, sumBias[V] = {};
#pragma unroll
    for (int j = 0; j < F::I; j++) {
      const Item<F> item(j, lane);
      float du[V], dDelta[V], dz[V];
#pragma unroll
      for (int v = 0; v < V; v++) {
        const int at = item.active ? (item.c + v) * F::rowG + item.t : 0;
        const float uOf = uNow.x[j].get(v), gradOf = gradNow.x[j].get(v), gate = zNow.x[j].get(v);
        const auto step = kept[j][v];
        float g = gradOf;
        dz[v] = 0.f;
        if (gated) {
          const float s = step.sigmoid, y = fmaf(skip[v], uOf, F::twice * memory.sums[at]);
          g *= gate * s;
          dz[v] = gradOf * y * s * fmaf(gate, 1.f - s, 1.f); // y silu'(z)
        }
        const float b = memory.sums[F::gFloats + at], q = memory.sums[2 * F::gFloats + at];
        du[v] = fmaf(skip[v], g, step.dt * b);
        dDelta[v] = fmaf(b, uOf, ln2 * q) * step.slope;
        if (item.active && t0 + item.t < length) {
          sumD[v] = fmaf(g, uOf, sumD[v]);
          sumBias[v] += dDelta[v];
        }
      }
      storeItem<F>(p, now, p.gradU, j, rowOffset + now.first, t0, lane, du);
      storeItem<F>(p, now, p.gradDelta, j, rowOffset + now.first, t0, lane, dDelta);
      if (gated) storeItem<F>(p, now, p.gradZ, j, rowOffset + now.first, t0, lane, dz);
    }
    if (p.partsD != nullptr || p.partsBias != nullptr) {
#pragma unroll
      for (int v = 0; v < V; v++) {
#pragma unroll
        for (int mask = F::perRow; mask < 32; mask *= 2) {
          sumD[v] += __shfl_xor_sync(0xffffffffu, sumD[v], mask);
          sumBias[v] += __shfl_xor_sync(0xffffffffu, sumBias[v], mask);
        }
        if (lane < F::perRow) {
          float *const to = sums + slices * (F::M ? 3 : 1) * part + slice * 2 * F::CH + lane * V + v;
          to[0] = sumD[v];
          to[F::CH] = sumBias[v];
        }
      }
    }
    __syncwarp();
    if constexpr (F::M) {
      __syncthreads();
      storeSums(now, sums);
    }
  }
  __syncthreads();
  if (!F::M && from < to) storeSums(before, sumsBuffers + ((to - 1) & 1) * sumsFloats);
  storeCoefficientGradient<F>(p, p.gradB, p.partsB, variableB, sumB, tile, partIndex, t0, lane);
  storeCoefficientGradient<F>(p, p.gradC, p.partsC, variableC, sumC, tile, partIndex, t0, lane);
}

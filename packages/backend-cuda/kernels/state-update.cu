// One step of the selective scan, for decoding: four lanes share a channel. Reads each state before it writes it, so both may be one array.
#include "fault.cuh"
#include "numbers.cuh"
#include "overlap.cuh"

// As in src/routines/state-update.ts: every field takes 8 bytes.
struct StateUpdateArguments {
  const float *state;
  const void *u, *delta;
  const float *A;
  const void *B, *C;
  const float *D;
  const void *z;
  const float *deltaBias;
  void *y;
  float *next;
  const Fault *fault;
  long long batch, channels, dState, groups;
  long long typeU, typeDelta, typeB, typeC, typeZ, typeY;
  long long rowU, rowDelta, rowB, rowC, rowZ;  // elements from one sequence to the next; constant B and C: from one channel to the next
  long long variableB, variableC, softplus;
  long long early;  // may state and A be read before the kernel in front has ended?
};

namespace {

constexpr int lanes = 4;


__device__ __forceinline__ float softplus(float x) { return x > 20.f ? x : log1pf(expf(x)); }

template <bool Parts> struct Value;
template <> struct Value<false> {
  float v;
  static __device__ __forceinline__ Value load(int type, const void *from, long long at) { return {loadAs(type, from, at)}; }
  __device__ __forceinline__ void step(float dt, float dtu, Value a, Value b) { v = fmaf(expf(dt * a.v), v, dtu * b.v); }
  __device__ __forceinline__ float read(Value c) const { return c.v * v; }
  __device__ __forceinline__ void store(float *to, long long at) const { to[at] = v; }
};
template <> struct Value<true> {
  float r, i;
  static __device__ __forceinline__ Value load(int type, const void *from, long long at) {
    return {loadAs(type, from, 2 * at), loadAs(type, from, 2 * at + 1)};
  }
  __device__ __forceinline__ void step(float dt, float dtu, Value a, Value b) {
    float sine, cosine;
    sincosf(dt * a.i, &sine, &cosine);
    const float size = expf(dt * a.r), dr = size * cosine, di = size * sine;
    const float nr = fmaf(dr, r, fmaf(-di, i, dtu * b.r)), ni = fmaf(dr, i, fmaf(di, r, dtu * b.i));
    r = nr, i = ni;
  }
  // y is twice the real part of the sum over the states.
  __device__ __forceinline__ float read(Value c) const { return 2.f * (c.r * r - c.i * i); }
  __device__ __forceinline__ void store(float *to, long long at) const { to[2 * at] = r, to[2 * at + 1] = i; }
};

// One channel of one sequence.
template <bool Parts> __device__ __forceinline__ void updateChannel(const StateUpdateArguments &p, long long b, long long d, bool active, bool writes) {
  const int lane = threadIdx.x % lanes, dState = static_cast<int>(p.dState);
  const long long row = b * p.channels + d;
  const int group = static_cast<int>(d) / static_cast<int>(p.channels / p.groups) * dState;
  const long long constant = d * dState;
  // In values: complex ones take two elements.
  const long long rowB = p.rowB / (Parts ? 2 : 1), rowC = p.rowC / (Parts ? 2 : 1);
  const long long atB = p.variableB ? b * rowB + group : d * rowB, atC = p.variableC ? b * rowC + group : d * rowC;
  const float u = loadAs(static_cast<int>(p.typeU), p.u, b * p.rowU + d);
  float dt = loadAs(static_cast<int>(p.typeDelta), p.delta, b * p.rowDelta + d) + (p.deltaBias != nullptr ? p.deltaBias[d] : 0.f);
  if (p.softplus) dt = softplus(dt);
  const float dtu = dt * u;
  float sum = 0.f;
  const int typeB = p.variableB ? static_cast<int>(p.typeB) : typeFloat, typeC = p.variableC ? static_cast<int>(p.typeC) : typeFloat;
#pragma unroll 4
  for (int n = lane; n < dState; n += lanes) {
    Value<Parts> h = Value<Parts>::load(typeFloat, p.state, row * dState + n);
    h.step(dt, dtu, Value<Parts>::load(typeFloat, p.A, constant + n), Value<Parts>::load(typeB, p.B, atB + n));
    sum += h.read(Value<Parts>::load(typeC, p.C, atC + n));
    if (writes) h.store(p.next, row * dState + n);
  }
  for (int mask = lanes / 2; mask >= 1; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
  if (!active || lane != 0) return;
  if (p.D != nullptr) sum = fmaf(p.D[d], u, sum);
  if (p.z != nullptr) {
    const float gate = loadAs(static_cast<int>(p.typeZ), p.z, b * p.rowZ + d);
    sum *= gate / (1.f + __expf(-gate));
  }
  storeAs(static_cast<int>(p.typeY), p.y, row, sum);
}

// x: channels, y: sequences in turn.
template <bool Parts> __device__ __forceinline__ void update(const StateUpdateArguments &p) {
  const long long channel = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / lanes;
  const bool active = channel < p.channels, writes = active && !faulted(p.fault);
  for (long long b = blockIdx.y; b < p.batch; b += gridDim.y) updateChannel<Parts>(p, b, active ? channel : 0, active, writes);
}

// Real states, 16 a channel: four neighbours a lane. B and C variable and the same for all channels of a block, everything but y float32. `Rows`
// sequences at once, so that their states are all on their way together.
template <int Rows> __device__ __forceinline__ void quads(const StateUpdateArguments &p) {
  const int lane = threadIdx.x % lanes, n = lane * 4;
  const int channel = (blockIdx.x * blockDim.x + threadIdx.x) / lanes;
  const bool active = channel < p.channels;
  const int d = active ? channel : 0, group = d / static_cast<int>(p.channels / p.groups) * 16;
  const long long b0 = static_cast<long long>(blockIdx.y) * Rows;
  const auto present = [&](int r) { return active && b0 + r < p.batch; };
  const auto sequence = [&](int r) { return b0 + r < p.batch ? b0 + r : b0; };
  const auto row = [&](int r) { return sequence(r) * p.channels + d; };
  float4 h[Rows], a;
  const auto loadStates = [&] {
#pragma unroll
    for (int r = 0; r < Rows; r++) h[r] = __ldcs(reinterpret_cast<const float4 *>(p.state + row(r) * 16 + n));
    a = __ldg(reinterpret_cast<const float4 *>(p.A + static_cast<long long>(d) * 16 + n));
  };
  if (p.early != 0) loadStates();
  awaitEarlier();
  if (p.early == 0) loadStates();
  // [sequence][B, C][four states]
  __shared__ float4 coefficients[Rows][2][4];
  if (threadIdx.x < Rows * 8) {
    const int r = threadIdx.x / 8, which = threadIdx.x / 4 % 2;
    const float *const from = which == 0 ? static_cast<const float *>(p.B) + sequence(r) * p.rowB : static_cast<const float *>(p.C) + sequence(r) * p.rowC;
    coefficients[r][which][lane] = __ldcg(reinterpret_cast<const float4 *>(from + group + n));
  }
  float u[Rows], dt[Rows], gate[Rows];
#pragma unroll
  for (int r = 0; r < Rows; r++) {
    const long long b = sequence(r);
    u[r] = __ldcg(static_cast<const float *>(p.u) + b * p.rowU + d);
    dt[r] = __ldcg(static_cast<const float *>(p.delta) + b * p.rowDelta + d);
    gate[r] = p.z != nullptr ? __ldcg(static_cast<const float *>(p.z) + b * p.rowZ + d) : 0.f;
  }
  constexpr float toBase2 = 1.4426950408889634f;
  const float bias = p.deltaBias != nullptr ? p.deltaBias[d] : 0.f, skip = p.D != nullptr ? p.D[d] : 0.f;
  const bool writes = !faulted(p.fault);
  __syncthreads();
#pragma unroll
  for (int r = 0; r < Rows; r++) {
    const float4 x = coefficients[r][0][lane], c = coefficients[r][1][lane];
    float step = dt[r] + bias;
    if (p.softplus) step = softplus(step);
    const float scale = step * toBase2, input = step * u[r];
    h[r].x = fmaf(exp2f(scale * a.x), h[r].x, input * x.x);
    h[r].y = fmaf(exp2f(scale * a.y), h[r].y, input * x.y);
    h[r].z = fmaf(exp2f(scale * a.z), h[r].z, input * x.z);
    h[r].w = fmaf(exp2f(scale * a.w), h[r].w, input * x.w);
    float sum = fmaf(c.x, h[r].x, fmaf(c.y, h[r].y, fmaf(c.z, h[r].z, c.w * h[r].w)));
    if (writes && present(r)) __stcs(reinterpret_cast<float4 *>(p.next + row(r) * 16 + n), h[r]);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    if (lane == 0 && present(r)) {
      sum = fmaf(skip, u[r], sum);
      if (p.z != nullptr) sum *= gate[r] / (1.f + __expf(-gate[r]));
      storeAs(static_cast<int>(p.typeY), p.y, row(r), sum);
    }
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(128) state_update_quads1(const __grid_constant__ StateUpdateArguments p) { quads<1>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_quads4(const __grid_constant__ StateUpdateArguments p) { quads<4>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_real(const __grid_constant__ StateUpdateArguments p) { update<false>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_complex(const __grid_constant__ StateUpdateArguments p) { update<true>(p); }

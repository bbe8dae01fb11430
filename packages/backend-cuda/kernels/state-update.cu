// One step of the selective scan, for decoding: four lanes share a channel. Reads each state before it writes it, so both may be one array.
#include "fault.cuh"
#include "numbers.cuh"

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

// One channel of one sequence. Quads: dState is a multiple of 16, states are real, B and C variable and float32: four neighbouring states a lane.
template <bool Parts, bool Quads> __device__ __forceinline__ void updateChannel(const StateUpdateArguments &p, long long b, long long d, bool active, bool writes) {
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
  if constexpr (Quads) {
    constexpr float toBase2 = 1.4426950408889634f;
    for (int n = lane * 4; n < dState; n += lanes * 4) {
      float4 h = *reinterpret_cast<const float4 *>(p.state + row * dState + n);
      const float4 a = __ldg(reinterpret_cast<const float4 *>(p.A + constant + n));
      const float4 x = *reinterpret_cast<const float4 *>(static_cast<const float *>(p.B) + atB + n);
      const float4 c = *reinterpret_cast<const float4 *>(static_cast<const float *>(p.C) + atC + n);
      const float scale = dt * toBase2;
      h.x = fmaf(exp2f(scale * a.x), h.x, dtu * x.x);
      h.y = fmaf(exp2f(scale * a.y), h.y, dtu * x.y);
      h.z = fmaf(exp2f(scale * a.z), h.z, dtu * x.z);
      h.w = fmaf(exp2f(scale * a.w), h.w, dtu * x.w);
      sum = fmaf(c.x, h.x, fmaf(c.y, h.y, fmaf(c.z, h.z, fmaf(c.w, h.w, sum))));
      if (writes) *reinterpret_cast<float4 *>(p.next + row * dState + n) = h;
    }
  } else {
    const int typeB = p.variableB ? static_cast<int>(p.typeB) : typeFloat, typeC = p.variableC ? static_cast<int>(p.typeC) : typeFloat;
#pragma unroll 4
    for (int n = lane; n < dState; n += lanes) {
      Value<Parts> h = Value<Parts>::load(typeFloat, p.state, row * dState + n);
      h.step(dt, dtu, Value<Parts>::load(typeFloat, p.A, constant + n), Value<Parts>::load(typeB, p.B, atB + n));
      sum += h.read(Value<Parts>::load(typeC, p.C, atC + n));
      if (writes) h.store(p.next, row * dState + n);
    }
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
template <bool Parts, bool Quads> __device__ __forceinline__ void update(const StateUpdateArguments &p) {
  const long long channel = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / lanes;
  const bool active = channel < p.channels, writes = active && !faulted(p.fault);
  for (long long b = blockIdx.y; b < p.batch; b += gridDim.y) updateChannel<Parts, Quads>(p, b, active ? channel : 0, active, writes);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(128) state_update_quads(const __grid_constant__ StateUpdateArguments p) { update<false, true>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_real(const __grid_constant__ StateUpdateArguments p) { update<false, false>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_complex(const __grid_constant__ StateUpdateArguments p) { update<true, false>(p); }

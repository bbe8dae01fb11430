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
  float *y, *next;
  const Fault *fault;
  long long batch, channels, dState, groups;
  long long typeU, typeDelta, typeB, typeC, typeZ;
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

template <bool Parts> __device__ __forceinline__ void update(const StateUpdateArguments &p) {
  const long long index = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / lanes;
  const bool active = index < p.batch * p.channels;
  const long long row = active ? index : 0, b = row / p.channels, d = row % p.channels;
  const int lane = threadIdx.x % lanes, dState = static_cast<int>(p.dState);
  const bool writes = active && !faulted(p.fault);
  const long long group = d / (p.channels / p.groups) * dState, constant = d * dState;
  const int typeB = p.variableB ? static_cast<int>(p.typeB) : typeFloat, typeC = p.variableC ? static_cast<int>(p.typeC) : typeFloat;
  // In values: complex ones take two elements.
  const long long rowB = p.rowB / (Parts ? 2 : 1), rowC = p.rowC / (Parts ? 2 : 1);
  const long long atB = p.variableB ? b * rowB + group : d * rowB, atC = p.variableC ? b * rowC + group : d * rowC;
  const float u = loadAs(static_cast<int>(p.typeU), p.u, b * p.rowU + d);
  float dt = loadAs(static_cast<int>(p.typeDelta), p.delta, b * p.rowDelta + d) + (p.deltaBias != nullptr ? p.deltaBias[d] : 0.f);
  if (p.softplus) dt = softplus(dt);
  float sum = 0.f;
#pragma unroll 4
  for (int n = lane; n < dState; n += lanes) {
    Value<Parts> h = Value<Parts>::load(typeFloat, p.state, row * dState + n);
    h.step(dt, dt * u, Value<Parts>::load(typeFloat, p.A, constant + n), Value<Parts>::load(typeB, p.B, atB + n));
    sum += h.read(Value<Parts>::load(typeC, p.C, atC + n));
    if (writes) h.store(p.next, row * dState + n);
  }
  for (int mask = lanes / 2; mask >= 1; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
  if (!active || lane != 0) return;
  if (p.D != nullptr) sum = fmaf(p.D[d], u, sum);
  if (p.z != nullptr) {
    const float gate = loadAs(static_cast<int>(p.typeZ), p.z, b * p.rowZ + d);
    sum *= gate / (1.f + expf(-gate));
  }
  p.y[row] = sum;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(128) state_update_real(const __grid_constant__ StateUpdateArguments p) { update<false>(p); }
extern "C" __global__ void __launch_bounds__(128) state_update_complex(const __grid_constant__ StateUpdateArguments p) { update<true>(p); }

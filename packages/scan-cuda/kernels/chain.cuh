// Handing states from warp to warp of a block through shared memory. Two ways. Links: named barriers between neighbours, on
// which a waiting warp takes no issue slots, but over which a warp may hand on once a round only. Slots: a slot
// holds `empty` until its values are in it, the taker waits for them and empties it again; for several links between the
// same warps. Either way every lane has places of its own, and a place is read before it is written again: what its
// writer needs to go on has passed through all the other warps.
#pragma once
#include "numbers.cuh"

namespace chain {

// Warp w hands on over link w. Links are hardware barriers, of which a block has 16.
__device__ __forceinline__ void arrive(int link) { asm volatile("bar.arrive %0, 64;" ::"r"(link) : "memory"); }
__device__ __forceinline__ void await(int link) { asm volatile("bar.sync %0, 64;" ::"r"(link) : "memory"); }

// A NaN that no arithmetic makes: results of the hardware are 0x7fffffff.
constexpr unsigned empty = 0x7fc0dead;

__device__ __forceinline__ unsigned addressOf(const float *slot) { return static_cast<unsigned>(__cvta_generic_to_shared(slot)); }

template <int S> __device__ __forceinline__ void put(unsigned slot, const float (&from)[S]) {
  static_assert(S == 2 || S == 4);
  if constexpr (S == 2) {
    asm volatile("st.volatile.shared.v2.f32 [%0], {%1, %2};" ::"r"(slot), "f"(from[0]), "f"(from[1]));
  } else {
    asm volatile("st.volatile.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(slot), "f"(from[0]), "f"(from[1]), "f"(from[2]), "f"(from[3]));
  }
}

template <int S> __device__ __forceinline__ void take(unsigned slot, float (&to)[S]) {
  unsigned waiting;
  do {
    if constexpr (S == 2) {
      asm volatile("ld.volatile.shared.v2.f32 {%0, %1}, [%2];" : "=f"(to[0]), "=f"(to[1]) : "r"(slot));
    } else {
      asm volatile("ld.volatile.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(to[0]), "=f"(to[1]), "=f"(to[2]), "=f"(to[3]) : "r"(slot));
    }
    bool missing = false;
#pragma unroll
    for (int s = 0; s < S; s++) missing |= __float_as_uint(to[s]) == empty;
    waiting = __any_sync(0xffffffffu, missing); // all lanes together, so that the warp does not come apart
  } while (waiting);
  float nothing[S];
#pragma unroll
  for (int s = 0; s < S; s++) nothing[s] = __uint_as_float(empty);
  put<S>(slot, nothing);
}

} // namespace chain

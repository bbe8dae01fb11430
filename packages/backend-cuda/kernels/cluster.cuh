// Clusters of thread blocks (compute capability 9.0 and later): blocks that run together and read each other's shared memory.
#pragma once
#include <cstdint>

// Every thread of every block of the cluster arrives and waits; what they wrote to shared memory before is visible behind it.
__device__ __forceinline__ void clusterArrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
__device__ __forceinline__ void clusterWait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

// Four numbers at the same place in the shared memory of block `rank` of the cluster.
__device__ __forceinline__ float4 loadFromBlock(uint32_t at, uint32_t rank) {
  uint32_t there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(at), "r"(rank));
  float4 v;
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(there) : "memory");
  return v;
}

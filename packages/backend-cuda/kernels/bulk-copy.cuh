// Hopper's copy engine: tiles of matrices into shared memory, counted by barriers there (cp.async.bulk.tensor, mbarrier).
#pragma once
#include <cstdint>

// CUtensorMap: where a matrix lies and how its tiles are laid out in shared memory, made by the driver.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

// A barrier whose phases end after `count` arrivals and all bytes that were announced. Eight bytes of shared memory.
__device__ __forceinline__ void initBarrier(uint32_t barrier, uint32_t count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
// Behind the last initBarrier, before the block's barrier.
__device__ __forceinline__ void barriersAreReady() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void arrive(uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }
__device__ __forceinline__ void arriveExpecting(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// Until the phase with this parity, 0 for the first, has ended.
__device__ __forceinline__ void awaitPhase(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{ .reg .pred p;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra done;\n"
      "bra again;\n"
      "done: }" ::"r"(barrier), "r"(parity)
      : "memory");
}

// The tile that starts at term `term` of row `row`; zeros outside the matrix. Its bytes count at the barrier.
__device__ __forceinline__ void copyTile(uint32_t to, const TensorMap &map, int term, int row, uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
               "l"(reinterpret_cast<uint64_t>(&map)), "r"(term), "r"(row), "r"(barrier)
               : "memory");
}
// The same tile, into the cache that all multiprocessors share.
__device__ __forceinline__ void prefetchTile(const TensorMap &map, int term, int row) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, {%1, %2}];" ::"l"(reinterpret_cast<uint64_t>(&map)), "r"(term), "r"(row) : "memory");
}

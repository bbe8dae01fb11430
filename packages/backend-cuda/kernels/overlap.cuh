// Overlap with the kernel before: what stands in front of `awaitEarlier` may run while that kernel still does. Only prefetches belong there.
#pragma once

// The driver layer (scan-cuda, driver/overlap.ts) turns this comment into the instructions where the device has them, and puts them at the start
// of every kernel that has no such comment.
__device__ __forceinline__ void awaitEarlier() { asm volatile("// overlap: await earlier kernels" ::: "memory"); }

// Into the cache that all multiprocessors share: harmless whoever writes there.
__device__ __forceinline__ void prefetch(const void *at) { asm volatile("prefetch.global.L2 [%0];" ::"l"(at)); }

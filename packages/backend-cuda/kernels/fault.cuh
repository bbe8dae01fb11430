#pragma once
// The fault record, as in src/faults.ts.

struct Fault {
  int kind, value, position, limit;
  int *host;  // the same four words in pinned memory
};

/// Notes a bad value. The first one wins.
__device__ inline void raiseFault(Fault *fault, int kind, int value, int position, int limit) {
  if (atomicCAS(&fault->kind, 0, kind) != 0) return;
  fault->value = value;
  fault->position = position;
  fault->limit = limit;
  volatile int *host = fault->host;
  host[1] = value;
  host[2] = position;
  host[3] = limit;
  __threadfence_system();
  host[0] = kind;
}

/// Did an earlier kernel of the program (or this one) meet a bad value? Then what outlives the program stays as it is.
__device__ inline bool faulted(const Fault *fault) { return *reinterpret_cast<const volatile int *>(&fault->kind) != 0; }

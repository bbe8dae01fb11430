// The argument block of the matmul kernels, as in src/routines/matmul/arguments.ts: every field takes 8 bytes.
#pragma once
#include "numbers.cuh"

struct MatmulArguments {
  const void *a, *b;
  void *out;
  const float *bias;      // (n) or null
  const void *residual;   // like out, or null
  float *parts;           // sums over a part of k, where k is split: (parts, batch, m, n)
  long long batch, m, n, k;
  long long strideA, strideB;  // elements from one matrix to the next; 0: shared
  long long rowA;              // elements from one stored row of a to the next
  long long transposeA, transposeB;
  long long typeA, typeB, typeOut, typeResidual;
  long long activation;   // as in Activation
  long long partK;        // terms of a part
  long long lanes;        // few rows: lanes that share an output
  long long prefetch;     // few rows: fetch b ahead of time
  long long transposeOut; // sums over parts of k are stored transposed: a and b changed places
};

enum Activation : int { activationNone = 0, activationSilu = 1, activationRelu = 2 };

// What is done with a sum on its way to memory.
__device__ __forceinline__ float finish(const MatmulArguments &p, float sum, long long column, long long at) {
  if (p.bias != nullptr) sum += p.bias[column];
  if (p.activation == activationSilu) sum = sum / (1.f + __expf(-sum));
  else if (p.activation == activationRelu) sum = fmaxf(sum, 0.f);
  if (p.residual != nullptr) sum += loadAs(static_cast<int>(p.typeResidual), p.residual, at);
  return sum;
}

__device__ __forceinline__ void storeResult(const MatmulArguments &p, float sum, long long batch, long long row, long long column) {
  const long long at = (batch * p.m + row) * p.n + column;
  storeAs(static_cast<int>(p.typeOut), p.out, at, finish(p, sum, column, at));
}

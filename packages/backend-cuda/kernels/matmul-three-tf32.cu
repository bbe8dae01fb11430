// Products of float32 matrices on the tensor cores, as precise as float32. Tensor cores round sums towards zero, so they add up 32 terms only; from
// there on sums are float32's own. Sizes along memory must be multiples of 4.
#include "matmul-arguments.cuh"
#include "matmul-three-tf32.cuh"

namespace {

constexpr int depth = 32, stages = 3, BM = 128, BN = 64, threads = 128;
constexpr int rowTiles = 4, columnTiles = 4;  // of 16 and 8, for a warp: 2 x 2 warps

__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Rows x depth of an operand in shared memory. Along: terms are neighbours (padded rows of k), else rows are (padded rows of the tile's rows).
// The padding keeps the reads of a warp in different banks.
template <int Rows, bool Along> struct Tile {
  static constexpr int stride = Along ? depth + 4 : Rows + 8, bytes = (Along ? Rows : depth) * stride * 4;
  static constexpr int across = (Along ? depth : Rows) / 4, step = threads / across, copies = Rows * depth / 4 / threads;
  // This thread's first chunk of the next copy: where it is, and its row and term. Chunks are `step` rows (of terms) apart.
  const float *from;
  int row, term;

  __device__ __forceinline__ void place(const float *matrix, long long pitch, int row0, int k0) {
    const int outer = threadIdx.x / across, inner = threadIdx.x % across * 4;
    row = row0 + (Along ? outer : inner);
    term = k0 + (Along ? inner : outer);
    from = matrix + (Along ? row * pitch + term : term * pitch + row);
  }

  // Copies depth terms and goes on by as many.
  __device__ __forceinline__ void fetch(uint32_t to, const float *anywhere, long long pitch, int rows, int kEnd) {
    to += (threadIdx.x / across * stride + threadIdx.x % across * 4) * 4;
#pragma unroll
    for (int q = 0; q < copies; q++) {
      const bool valid = row + (Along ? q * step : 0) < rows && term + (Along ? 0 : q * step) < kEnd;
      copyAsync(to + q * step * stride * 4, valid ? from + q * step * pitch : anywhere, valid);
    }
    term += depth;
    from += Along ? depth : depth * pitch;
  }

  // 16 rows x 8 terms from (row, term), in the order (rows, terms) of this lane's: (0, 0) (8, 0) (0, 4) (8, 4).
  static __device__ __forceinline__ void read(uint32_t (&to)[4], uint32_t base, int row, int term) {
    const int lane = threadIdx.x % 32;
    if constexpr (Along) {
      loadMatrices(to, base + ((row + lane % 16) * stride + term + lane / 16 * 4) * 4);
    } else {
      const uint32_t from = base + ((term + lane % 4) * stride + row + lane / 4) * 4;
#pragma unroll
      for (int i = 0; i < 4; i++)
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(to[i]) : "r"(from + (i / 2 * 4 * stride + i % 2 * 8) * 4));
    }
  }
};

template <bool AlongA, bool AlongB> __device__ __noinline__ float exactlyApart(const MatmulArguments &p, int matrix, int row, int column, int kBegin, int kEnd) {
  return exactly<AlongA, AlongB>(p, matrix, row, column, kBegin, kEnd);
}

// Calls f(i, j, l) for each sum of a lane: rows 16·i + lane / 4 + l / 2 · 8 of its warp's, columns 8·j + lane % 4 · 2 + l % 2.
template <typename F> __device__ __forceinline__ void eachSum(const F &f) {
#pragma unroll
  for (int i = 0; i < rowTiles; i++)
#pragma unroll
    for (int j = 0; j < columnTiles; j++)
#pragma unroll
      for (int l = 0; l < 4; l++) f(i, j, l);
}

// Results that cannot be stored two at a time.
__device__ __noinline__ void storeOne(const MatmulArguments &p, float *parts, float sum, int matrix, int row, int column) {
  if (parts == nullptr) storeResult(p, sum, matrix, row, column);
  else parts[p.transposeOut ? (matrix * p.n + column) * p.m + row : (matrix * p.m + row) * p.n + column] = sum;
}

__device__ __noinline__ float activate(const MatmulArguments &p, float sum, int column) {
  if (p.bias != nullptr) sum += p.bias[column];
  return p.activation == activationSilu ? sum / (1.f + __expf(-sum)) : p.activation == activationRelu ? fmaxf(sum, 0.f) : sum;
}

template <bool AlongA, bool AlongB> __device__ __forceinline__ void products(const MatmulArguments &p) {
  using TileA = Tile<BM, AlongA>;
  using TileB = Tile<BN, AlongB>;
  constexpr int stageBytes = TileA::bytes + TileB::bytes;
  extern __shared__ __align__(128) unsigned char sharedBytes[];
  const uint32_t base = sharedAddress(sharedBytes);
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k), partK = static_cast<int>(p.partK), matrices = static_cast<int>(p.batch);
  const int tilesN = (n + BN - 1) / BN, tiles = (m + BM - 1) / BM * tilesN;
  const int items = (p.parts == nullptr ? 1 : (k + partK - 1) / partK) * matrices * tiles;
  const long long rowB = AlongB ? p.k : p.n;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warpRow = warp / 2 * 64, warpColumn = warp % 2 * 32;

  // Blocks go through several tiles in one stream of copies, so that memory never waits for the arithmetic. Tiles that lie beside each other run at
  // the same time and share the rows of a.
  struct Item {
    int row0, column0, matrix, part;
  };
  const auto itemAt = [&](int index) {
    // One matrix in one part is the common case: no divisions but by the tiles of a row.
    unsigned tile = index, rest = 0;
    if (items > tiles) rest = tile / tiles, tile -= rest * tiles;
    const unsigned row = tilesN == 1 ? tile : tile / static_cast<unsigned>(tilesN), part = matrices == 1 ? rest : rest / static_cast<unsigned>(matrices);
    return Item{static_cast<int>(row * BM), static_cast<int>((tile - row * tilesN) * BN), static_cast<int>(rest - part * matrices), static_cast<int>(part)};
  };
  const auto matrixA = [&](const Item &at) { return static_cast<const float *>(p.a) + at.matrix * p.strideA; };
  const auto matrixB = [&](const Item &at) { return static_cast<const float *>(p.b) + at.matrix * p.strideB; };
  TileA comingA;
  TileB comingB;
  int coming = blockIdx.x, comingK = 0, comingEnd = 0, stageFree = 0;
  const auto place = [&]() {
    if (coming >= items) return;
    const Item at = itemAt(coming);
    comingK = at.part * partK;
    comingEnd = min(comingK + partK, k);
    comingA.place(matrixA(at), p.rowA, at.row0, comingK);
    comingB.place(matrixB(at), rowB, at.column0, comingK);
  };
  place();
  const auto fetch = [&]() {
    if (coming < items) {
      const uint32_t to = base + stageFree * stageBytes;
      comingA.fetch(to, static_cast<const float *>(p.a), p.rowA, m, comingEnd);
      comingB.fetch(to + TileA::bytes, static_cast<const float *>(p.b), rowB, n, comingEnd);
      comingK += depth;
      if (comingK >= comingEnd) {
        coming += gridDim.x;
        place();
      }
    }
    stageFree = stageFree == stages - 1 ? 0 : stageFree + 1;
    asm volatile("cp.async.commit_group;");
  };
#pragma unroll
  for (int s = 0; s < stages - 1; s++) fetch();

  int stage = 0;
  for (int item = blockIdx.x; item < items; item += gridDim.x) {
    const Item at = itemAt(item);
    const int kBegin = at.part * partK, kEnd = min(kBegin + partK, k);
    float sums[rowTiles][columnTiles][4] = {};
    for (int k0 = kBegin; k0 < kEnd; k0 += depth) {
      asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2));
      __syncthreads();
      fetch();
      const uint32_t tileA = base + stage * stageBytes, tileB = tileA + TileA::bytes;
      float part[rowTiles][columnTiles][4] = {};
      const auto multiplyTerms = [&](int term) {
        uint32_t highA[rowTiles][4], lowA[rowTiles][4], highB[columnTiles][2], lowB[columnTiles][2];
#pragma unroll
        for (int i = 0; i < rowTiles; i++) {
          uint32_t raw[4];
          TileA::read(raw, tileA, warpRow + i * 16, term);
#pragma unroll
          for (int l = 0; l < 4; l++) split(raw[l], highA[i][l], lowA[i][l]);
        }
#pragma unroll
        for (int j = 0; j < columnTiles; j += 2) {
          uint32_t raw[4];
          TileB::read(raw, tileB, warpColumn + j * 8, term);
#pragma unroll
          for (int l = 0; l < 4; l++) split(raw[l], highB[j + l % 2][l / 2], lowB[j + l % 2][l / 2]);
        }
#pragma unroll
        for (int i = 0; i < rowTiles; i++)
#pragma unroll
          for (int j = 0; j < columnTiles; j++) multiply(part[i][j], lowA[i], highB[j]);
#pragma unroll
        for (int i = 0; i < rowTiles; i++)
#pragma unroll
          for (int j = 0; j < columnTiles; j++) multiply(part[i][j], highA[i], lowB[j]);
#pragma unroll
        for (int i = 0; i < rowTiles; i++)
#pragma unroll
          for (int j = 0; j < columnTiles; j++) multiply(part[i][j], highA[i], highB[j]);
      };
      if (kEnd - k0 > depth - 8) {
#pragma unroll
        for (int term = 0; term < depth; term += 8) multiplyTerms(term);
      } else {
#pragma unroll 1
        for (int term = 0; term < kEnd - k0; term += 8) multiplyTerms(term);
      }
      eachSum([&](int i, int j, int l) { sums[i][j][l] += part[i][j][l]; });
      stage = stage == stages - 1 ? 0 : stage + 1;
    }

    const int row = at.row0 + warpRow + lane / 4, column = at.column0 + warpColumn + lane % 4 * 2;
    float probe = 0.f;
    eachSum([&](int i, int j, int l) { probe = fmaf(sums[i][j][l], 0.f, probe); });
    if (probe != 0.f) {
      eachSum([&](int i, int j, int l) {
        const int r = row + i * 16 + l / 2 * 8, c = column + j * 8 + l % 2;
        if (sums[i][j][l] != sums[i][j][l] && r < m && c < n) sums[i][j][l] = exactlyApart<AlongA, AlongB>(p, at.matrix, r, c, kBegin, kEnd);
      });
    }
    const bool inParts = p.parts != nullptr;
    if (n % 2 == 0 && p.transposeOut == 0 && (inParts || (p.typeOut == typeFloat && (p.residual == nullptr || p.typeResidual == typeFloat)))) {
      // Two numbers at a time.
      const long long first = (at.matrix * p.m + row) * p.n + column;
      float *to = (inParts ? p.parts + at.part * p.batch * p.m * p.n : static_cast<float *>(p.out)) + first;
      const float *residual = inParts || p.residual == nullptr ? nullptr : static_cast<const float *>(p.residual) + first;
      const bool finishes = !inParts && (p.bias != nullptr || p.activation != activationNone);
#pragma unroll
      for (int half = 0; half < rowTiles * 2; half++) {
        if (row + half * 8 < m) {
#pragma unroll
          for (int j = 0; j < columnTiles; j++) {
            if (column + j * 8 >= n) continue;
            float2 v = make_float2(sums[half / 2][j][half % 2 * 2], sums[half / 2][j][half % 2 * 2 + 1]);
            if (finishes) v.x = activate(p, v.x, column + j * 8), v.y = activate(p, v.y, column + j * 8 + 1);
            if (residual != nullptr) {
              const float2 other = *reinterpret_cast<const float2 *>(residual + j * 8);
              v.x += other.x, v.y += other.y;
            }
            *reinterpret_cast<float2 *>(to + j * 8) = v;
          }
        }
        to += 8 * p.n;
        residual += residual == nullptr ? 0 : 8 * p.n;
      }
    } else {
      eachSum([&](int i, int j, int l) {
        const int r = row + i * 16 + l / 2 * 8, c = column + j * 8 + l % 2;
        if (r < m && c < n) storeOne(p, inParts ? p.parts + at.part * p.batch * p.m * p.n : nullptr, sums[i][j][l], at.matrix, r, c);
      });
    }
  }
  asm volatile("cp.async.wait_all;");
}

}  // namespace

// nn, nt, tn, tt: is a, is b transposed?
#define PRODUCTS(A, B, ab) \
  extern "C" __global__ void __launch_bounds__(threads, 2) three_tf32_##ab(const __grid_constant__ MatmulArguments p) { products<A, B>(p); }
PRODUCTS(true, false, nn) PRODUCTS(true, true, nt) PRODUCTS(false, false, tn) PRODUCTS(false, true, tt)

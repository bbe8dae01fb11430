import type { ReferenceRoutine } from '../array';

export const matmul: ReferenceRoutine = ([a, b], [y], { transposeA, transposeB }) => {
  if (!a || !b) throw new TypeError('matmul: a and b are required');
  const [batch, m, n] = y.shape;
  const k = transposeA ? a.shape[1] : a.shape[2];
  for (let matrix = 0; matrix < batch; matrix++) {
    const fromA = a.shape[0] === 1 ? 0 : matrix * m * k;
    const fromB = b.shape[0] === 1 ? 0 : matrix * k * n;
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          sum +=
            a.data[fromA + (transposeA ? p * m + i : i * k + p)] * b.data[fromB + (transposeB ? j * k + p : p * n + j)];
        }
        y.data[(matrix * m + i) * n + j] = sum;
      }
    }
  }
};

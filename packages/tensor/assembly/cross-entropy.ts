// log-softmax at the target, row by row.
import { expNonPositive, logOf } from './exp';
import { raise } from './fault';
import { address, field, sliceBegin, useful } from './slicing';
import { laneSum, loadLanes, zero } from './vector';

/** Fields: logits, targets, losses, logSumExp, fault, rows, classes, ignoreIndex. Threads take ranges of rows. */
export function crossEntropy(params: usize, tid: i32, threads: i32): void {
  const logits = address(params, 0), targets = address(params, 1), losses = address(params, 2), sums = address(params, 3), fault = address(params, 4);
  const rows = field(params, 5), classes = field(params, 6), ignore = field(params, 7);
  const parts = useful(threads, <i64>rows * classes, 8192);
  if (tid >= parts) return;
  const end = sliceBegin(rows, tid + 1, parts);
  for (let r = sliceBegin(rows, tid, parts); r < end; r++) {
    const x = logits + ((<usize>r * classes) << 2);
    const largest = rowMax(x, classes);
    const sum = largest + logOf(sumExp(x, classes, largest));
    store<f32>(sums + (<usize>r << 2), sum);
    const target = load<i32>(targets + (<usize>r << 2));
    let loss: f32 = 0;
    if (target != ignore) {
      if (<u32>target >= <u32>classes) raise(fault, 3, target, r, classes);
      else loss = sum - load<f32>(x + (<usize>target << 2));
    }
    store<f32>(losses + (<usize>r << 2), loss);
  }
}

function rowMax(x: usize, n: i32): f32 {
  let best = load<f32>(x);
  let i = 0;
  if (n >= 4) {
    let v = v128.load(x);
    for (i = 4; i + 4 <= n; i += 4) v = f32x4.max(v, v128.load(x + (<usize>i << 2)));
    v = f32x4.max(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
    best = max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1));
  }
  for (; i < n; i++) best = max(best, load<f32>(x + (<usize>i << 2)));
  return best;
}

function sumExp(x: usize, n: i32, largest: f32): f32 {
  const shift = f32x4.splat(largest);
  let sum = zero();
  let i = 0;
  for (; i + 4 <= n; i += 4) sum = f32x4.add(sum, expNonPositive(f32x4.sub(v128.load(x + (<usize>i << 2)), shift)));
  let total = laneSum(sum);
  if (i < n) {
    const rest = n - i;
    const e = expNonPositive(f32x4.sub(loadLanes(x + (<usize>i << 2), rest), shift));
    total += f32x4.extract_lane(e, 0);
    if (rest > 1) total += f32x4.extract_lane(e, 1);
    if (rest > 2) total += f32x4.extract_lane(e, 2);
  }
  return total;
}

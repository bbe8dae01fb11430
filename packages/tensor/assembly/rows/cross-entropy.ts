import { recordFault } from '../fault';
import { address, field, sliceBegin, useful } from '../slicing';
import { laneSum, loadLanes, zero } from '../vector';
import { expNonPositive, logarithm } from './exponential';

/** Logits that pay for one more thread. */
@inline const GRAIN: i64 = 8_192;
/** Logits per block: read twice, the second time from the L1 cache. */
@inline const BLOCK: i32 = 2048;

/**
 * logSumExp[i] = log sum_j exp(logits[i, j]); losses[i] = logSumExp[i] - logits[i, targets[i]], 0 where the target is ignored; 0, and a fault of
 * kind 3, for any other target outside the classes.
 * Parameters: 0 logits, 1 targets, 2 losses, 3 logSumExp, 4 fault, 5 rows, 6 classes, 7 ignored target.
 */
export function crossEntropy(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 5), classes = field(params, 6), ignored = field(params, 7);
  threads = useful(threads, <i64>rows * <i64>(classes + 16), GRAIN);
  if (tid >= threads) return;
  const end = sliceBegin(rows, tid + 1, threads);
  for (let row = sliceBegin(rows, tid, threads); row < end; row++) {
    const logits = address(params, 0) + ((<usize>row * <usize>classes) << 2);
    const target = load<i32>(address(params, 1) + (<usize>row << 2));
    const total = logSumExp(logits, classes);
    let loss: f32 = 0;
    if (target != ignored) {
      if (<u32>target < <u32>classes) {
        loss = <f32>(total - <f64>load<f32>(logits + (<usize>target << 2)));
      } else {
        recordFault(address(params, 4), 3, target, row, classes);
      }
    }
    store<f32>(address(params, 2) + (<usize>row << 2), loss);
    store<f32>(address(params, 3) + (<usize>row << 2), <f32>total);
  }
}

/** Of `count` floats, in one pass through memory: a block whose maximum is a new one rescales the sum so far. */
function logSumExp(x: usize, count: i32): f64 {
  let max: f32 = -Infinity;
  let sum: f64 = 0;
  for (let from = 0; from < count; from += BLOCK) {
    const size = min(count - from, BLOCK);
    const block = x + (<usize>from << 2);
    const newMax = Mathf.max(max, maximum(block, size));
    if (isNaN(newMax) || newMax == Infinity) return newMax == Infinity && !anyNaN(x, count) ? <f64>Infinity : <f64>NaN;
    if (newMax == -Infinity) continue;
    if (newMax > max) {
      // e^(max - newMax) in steps of the vector function, 0 at first.
      sum *= <f64>f32x4.extract_lane(expNonPositive(f32x4.splat(max - newMax)), 0);
      max = newMax;
    }
    sum += <f64>sumExp(block, size, max);
  }
  if (max == -Infinity) return -Infinity;
  return <f64>max + logarithm(sum);
}

/** NaN if there is one. */
function maximum(x: usize, count: i32): f32 {
  let a = f32x4.splat(-Infinity), b = a;
  const end = x + (<usize>(count & ~7) << 2);
  for (; x != end; x += 32) {
    a = f32x4.max(a, v128.load(x));
    b = f32x4.max(b, v128.load(x, 16));
  }
  a = f32x4.max(a, b);
  let max = Mathf.max(
    Mathf.max(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1)), Mathf.max(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)),
  );
  for (let i = count & 7; i > 0; i--) {
    max = Mathf.max(max, load<f32>(x));
    x += 4;
  }
  return max;
}

function anyNaN(x: usize, count: i32): bool {
  for (let i = 0; i < count; i++) if (isNaN(load<f32>(x + (<usize>i << 2)))) return true;
  return false;
}

/** Sum of e^(x - max). */
function sumExp(x: usize, count: i32, max: f32): f32 {
  const shift = f32x4.splat(max);
  let a = zero(), b = zero();
  const end = x + (<usize>(count & ~7) << 2);
  for (; x != end; x += 32) {
    a = f32x4.add(a, expNonPositive(f32x4.sub(v128.load(x), shift)));
    b = f32x4.add(b, expNonPositive(f32x4.sub(v128.load(x, 16), shift)));
  }
  for (let rest = count & 7; rest > 0; rest -= 4) {
    let e = expNonPositive(f32x4.sub(loadLanes(x, rest), shift));
    // Missing lanes hold e^-max.
    if (rest < 4) e = v128.and(e, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(rest)));
    a = f32x4.add(a, e);
    x += 16;
  }
  return laneSum(f32x4.add(a, b));
}

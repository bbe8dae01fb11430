import { recordFault } from '../fault';
import { address, field, sliceBegin, useful } from '../slicing';
import { logarithm, sumExp } from './exponential';
import { maximum } from './maximum';

/** Logits that pay for one more thread. */
@inline const GRAIN: i64 = 8_192;
/** Exponentials that are added up in float32 before the sum goes on in float64. */
@inline const BLOCK: i32 = 2048;

/**
 * logSumExp[i] = log sum_j exp(logits[i, j]); losses[i] = logSumExp[i] - logits[i, targets[i]], 0 where the target is
 * ignored; 0, and a fault of kind 3, for any other target outside the classes. Parameters: 0 logits, 1 targets, 2
 * losses, 3 logSumExp, 4 fault, 5 rows, 6 classes, 7 ignored target.
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

function logSumExp(x: usize, count: i32): f64 {
  const max = maximum(x, count);
  // An infinity outweighs everything, or is everything there is.
  if (isNaN(max) || max == Infinity || max == -Infinity) return <f64>max;
  let sum: f64 = 0;
  for (let from = 0; from < count; from += BLOCK) {
    sum += <f64>sumExp(x + (<usize>from << 2), min(count - from, BLOCK), max);
  }
  return <f64>max + logarithm(sum);
}

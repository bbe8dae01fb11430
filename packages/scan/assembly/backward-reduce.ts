// The last phase of backward: sums of what tasks wrote apart, always in the same order.
import * as params from './params';

/** target[i] = sum over parts of parts[part][i]; each thread takes a range of i. */
function sumParts(target: usize, parts: usize, size: i32, count: i32, tid: i32, threads: i32): void {
  if (target == 0 || count < 2) return;
  const stride = <usize>size << 2;
  const quads = (size + 3) >> 2;
  const from = params.firstTask(quads, tid, threads) << 2;
  const to = min(size, params.firstTask(quads, tid + 1, threads) << 2);
  let i = from;
  for (; i + 4 <= to; i += 4) {
    let at = parts + (<usize>i << 2);
    let sum = v128.load(at);
    for (let part = 1; part < count; part++) {
      at += stride;
      sum = f32x4.add(sum, v128.load(at));
    }
    v128.store(target + (<usize>i << 2), sum);
  }
  for (; i < to; i++) {
    let at = parts + (<usize>i << 2);
    let sum = load<f32>(at);
    for (let part = 1; part < count; part++) {
      at += stride;
      sum += load<f32>(at);
    }
    store<f32>(target + (<usize>i << 2), sum);
  }
}

export function reduceGradients(p: usize, tid: i32, threads: i32): void {
  const batch = params.batch(p), channels = params.channels(p), groups = params.groups(p);
  const width = params.taskChannels(p);
  const tasks = (channels / groups + width - 1) / width;
  const perChannel = channels * params.columns(p);
  const perStep = batch * params.length(p) * groups * params.columns(p);
  sumParts(params.gradA(p), params.partialA(p), perChannel, batch, tid, threads);
  sumParts(params.gradD(p), params.partialD(p), channels, batch, tid, threads);
  sumParts(params.gradDeltaBias(p), params.partialDeltaBias(p), channels, batch, tid, threads);
  if (params.variableB(p)) sumParts(params.gradB(p), params.partialB(p), perStep, tasks, tid, threads);
  else sumParts(params.gradB(p), params.partialB(p), perChannel, batch, tid, threads);
  if (params.variableC(p)) sumParts(params.gradC(p), params.partialC(p), perStep, tasks, tid, threads);
  else sumParts(params.gradC(p), params.partialC(p), perChannel, batch, tid, threads);
}

import { inputSpec, type WebGpuRoutine } from '../routine';
import { raiseFault } from './fault-code';
import { rowFrame, rowsOf, teamOf, tree } from './row-team';

/** A team of invocations per row: largest logit, then Σ e^(logit - largest). */
export const crossEntropy: WebGpuRoutine = {
  passes(call, memory) {
    const [rows, classes] = inputSpec(call, 0).shape;
    if (rows === 0) return [];
    const team = teamOf(classes);
    const ignore = Number(call.attributes.ignoreIndex) | 0;
    const ignored = ignore === -(2 ** 31) ? 'bitcast<i32>(0x80000000u)' : `${ignore}i`;
    const share = (step: (other: string) => string, value: string, result: string): string =>
      team === 1 ? `  let ${result} = ${value};` : `  part[lane] = ${value};\n${tree(team, step)}\n  let ${result} = part[0];\n  workgroupBarrier();`;
    return [
      {
        label: `wgsl cross-entropy, ${team === 1 ? 'an invocation' : `${team} invocations`} a row`,
        bindings: [memory.input(0, 'logits', 'f32'), memory.input(1, 'targets', 'i32'), memory.output(0, 'losses', 'f32'), memory.output(1, 'sums', 'f32'), memory.fault('fault')],
        declarations: `${raiseFault}${team > 1 ? `\nvar<workgroup> part: array<f32, ${team}>;` : ''}`,
        body: `${rowFrame(rows, team)}
  let from_row = row * ${classes}u;
  var most = -infinity();
  for (var i = member; i < ${classes}u; i += ${team}u) { most = max_f(most, logits[from_row + i]); }
${share((o) => `part[lane] = max_f(part[lane], part[${o}]);`, 'most', 'largest')}
  let base = select(0.0, largest, abs(largest) <= 3.4028234e38);
  var sum = 0.0f;
  for (var i = member; i < ${classes}u; i += ${team}u) { sum += exp_f(logits[from_row + i] - base); }
${share((o) => `part[lane] += part[${o}];`, 'sum', 'total')}
  if (member == 0u) {
    // NaN, or an infinity that outweighs everything (or is everything there is).
    var log_sum = largest;
    if (abs(largest) <= 3.4028234e38) { log_sum = largest + log_f(total); }
    sums[row] = log_sum;
    let target_class = targets[row];
    var loss = 0.0f;
    if (target_class != ${ignored}) {
      if (target_class < 0i || target_class >= ${classes}i) { raise_fault(3u, target_class, row, ${classes}u); }
      else { loss = log_sum - logits[from_row + u32(target_class)]; }
    }
    losses[row] = loss;
  }`,
        workgroupSize: team === 1 ? 64 : team,
        workgroups: Math.ceil(rows / rowsOf(team)),
      },
    ];
  },
};

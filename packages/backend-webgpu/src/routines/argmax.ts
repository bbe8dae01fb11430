import { inputSpec, type WebGpuRoutine } from '../routine';
import { orderKey } from './descending';
import { rowFrame, rowsOf, teamOf, tree } from './row-team';

/** A team of invocations per row; of equal values the one that comes first. */
export const argmax: WebGpuRoutine = {
  passes(call, memory) {
    const [rows, width] = inputSpec(call, 0).shape;
    if (rows === 0) return [];
    const team = teamOf(width);
    const shared = `  keys[lane] = best;
  places[lane] = place;
${tree(team, (o) => `if (keys[${o}] > keys[lane] || (keys[${o}] == keys[lane] && places[${o}] < places[lane])) { keys[lane] = keys[${o}]; places[lane] = places[${o}]; }`)}
  if (lane == 0u) { out[row] = i32(places[0]); }`;
    return [
      {
        label: `wgsl argmax, ${team === 1 ? 'an invocation' : `${team} invocations`} a row`,
        bindings: [memory.input(0, 'x', 'f32'), memory.output(0, 'out', 'i32')],
        declarations: `${orderKey}${team > 1 ? `\nvar<workgroup> keys: array<u32, ${team}>;\nvar<workgroup> places: array<u32, ${team}>;` : ''}`,
        body: `${rowFrame(rows, team)}
  var best = 0u;
  var place = ${width}u;
  for (var i = member; i < ${width}u; i += ${team}u) {
    let key = order_key(x[row * ${width}u + i]);
    if (key > best || place == ${width}u) { best = key; place = i; }
  }
${team === 1 ? '  out[row] = i32(place);' : shared}`,
        workgroupSize: team === 1 ? 64 : team,
        workgroups: Math.ceil(rows / rowsOf(team)),
      },
    ];
  },
};

import { inputSpec, type WebGpuRoutine } from '../routine';

/** Invocations that share a long line. */
const team = 128;

/** A line per invocation; where lines are long and few, a workgroup per line: sums of pieces, their running sum, then the pieces. */
export const cumsum: WebGpuRoutine = {
  passes(call, memory) {
    const [rows, length, width] = inputSpec(call, 0).shape;
    const lines = rows * width;
    if (lines * length === 0) return [];
    const bindings = [memory.input(0, 'x', 'f32'), memory.output(0, 'out', 'f32')];
    const at = call.attributes.reverse ? `(${length - 1}u - i)` : 'i';
    const element = (line: string): string => `(${line} / ${width}u) * ${length * width}u + ${at} * ${width}u + ${line} % ${width}u`;
    if (length < 512 || lines > 4096) {
      return [
        {
          label: 'wgsl cumsum, an invocation a line',
          bindings,
          body: `  let line = group * 64u + lane;
  if (line >= ${lines}u) { return; }
  var sum = 0.0f;
  for (var i = 0u; i < ${length}u; i++) {
    sum += x[${element('line')}];
    out[${element('line')}] = sum;
  }`,
          workgroupSize: 64,
          workgroups: Math.ceil(lines / 64),
        },
      ];
    }
    const piece = Math.ceil(length / team);
    const steps = Array.from({ length: Math.log2(team) }, (_, k) => 2 ** k);
    return [
      {
        label: `wgsl cumsum, ${team} invocations a line`,
        bindings,
        declarations: `var<workgroup> pieces: array<f32, ${team}>;`,
        body: `  let first = lane * ${piece}u;
  let end = min(first + ${piece}u, ${length}u);
  var own = 0.0f;
  for (var i = first; i < end; i++) { own += x[${element('group')}]; }
  pieces[lane] = own;
  workgroupBarrier();
${steps.map((s) => `  own = pieces[lane];\n  if (lane >= ${s}u) { own += pieces[lane - ${s}u]; }\n  workgroupBarrier();\n  pieces[lane] = own;\n  workgroupBarrier();`).join('\n')}
  var sum = 0.0f;
  if (lane > 0u) { sum = pieces[lane - 1u]; }
  for (var i = first; i < end; i++) {
    sum += x[${element('group')}];
    out[${element('group')}] = sum;
  }`,
        workgroupSize: team,
        workgroups: lines,
      },
    ];
  },
};

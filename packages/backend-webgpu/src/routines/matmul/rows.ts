import type { Pass } from '../../pass';
import type { StepMemory } from '../../routine';
import { tree } from '../row-team';
import { type Finish, finishRow } from './finish';
import { elementAt, factorType, firstElement, type Problem, vectorAt, widening } from './problem';

/* Few rows by a matrix: the matrix is read once, at the speed of memory. */

/** Most rows that are held in registers. */
export const fewRows = 8;

/** b lies along k: a workgroup takes four columns of the result and all rows; its invocations go along k. */
export function alongK(p: Problem, memory: StepMemory, finish: Finish): Pass {
  const vectors = p.a.vectors && p.b.vectors;
  const step = vectors ? 4 : 1;
  const steps = p.k / step;
  const team = steps > 256 ? 128 : 64;
  const quads = Math.ceil(p.n / 4);
  const at = { a: (i: number) => `a_row + ${i * p.a.pitch}u + v * ${step}u`, b: (j: number) => `b_row${j} + v * ${step}u` };
  const read = { a: (i: number) => (vectors ? vectorAt : elementAt)(p.a, at.a(i)), b: (j: number) => (vectors ? vectorAt : elementAt)(p.b, at.b(j)) };
  const rows = Array.from({ length: p.m }, (_, i) => i);
  const columns = [0, 1, 2, 3];
  const term = (i: number, j: number): string => (vectors ? `dot(x${i}, y${j})` : `x${i} * y${j}`);
  const body = [
    `let batch = group / ${quads}u;`,
    `let column0 = (group % ${quads}u) * 4u;`,
    `let a_row = ${firstElement(p.a)};`,
    ...columns.map((j) => `let b_row${j} = ${firstElement(p.b)} + min(column0 + ${j}u, ${p.n - 1}u) * ${p.b.pitch}u;`),
    ...rows.map((i) => `var sum${i} = vec4<f32>();`),
    `for (var v = lane; v < ${steps}u; v += ${team}u) {`,
    ...columns.map((j) => `  let y${j} = ${read.b(j)};`),
    ...rows.flatMap((i) => [`  let x${i} = ${read.a(i)};`, `  sum${i} += vec4<f32>(${columns.map((j) => term(i, j)).join(', ')});`]),
    '}',
    ...rows.map((i) => `part[lane + ${i * team}u] = sum${i};`),
    tree(team, (o) => rows.map((i) => `part[lane + ${i * team}u] += part[${o} + ${i * team}u];`).join(' ')),
    `if (lane < ${p.m}u) { let result = part[lane * ${team}u]; ${finishRow(finish, p, 'batch', 'lane', 'column0', 'result')} }`,
  ];
  return {
    label: `wgsl matmul, ${p.m} ${p.m === 1 ? 'row' : 'rows'}, ${team} invocations along k`,
    bindings: [memory.input(0, 'a', factorType(p.a)), memory.input(1, 'b', factorType(p.b)), ...finish.bindings],
    declarations: [`var<workgroup> part: array<vec4<f32>, ${team * p.m}>;`, widening(p.a), widening(p.b), finish.declarations].join('\n'),
    body: body.map((l) => `  ${l}`).join('\n'),
    workgroupSize: team,
    workgroups: quads * p.batch,
  };
}

const across = 16;
const deep = 8;

/** b lies along n: neighbours take neighbouring columns, four each; `deep` invocations share the sum over k. */
export function alongN(p: Problem, memory: StepMemory, finish: Finish): Pass {
  const width = across * 4;
  const blocks = Math.ceil(p.n / width);
  const rows = Array.from({ length: p.m }, (_, i) => i);
  const size = across * deep;
  const b = p.b.vectors
    ? vectorAt(p.b, 'b_row + r * BN + column'.replace('BN', `${p.n}u`))
    : `vec4<f32>(${[0, 1, 2, 3].map((e) => elementAt(p.b, `b_row + r * ${p.n}u + min(column0 + ${e}u, ${p.n - 1}u)`)).join(', ')})`;
  // a's rows may lie along k or along m.
  const a = (i: number): string => elementAt(p.a, p.a.along === 'k' ? `a_row + ${i * p.a.pitch}u + r` : `a_row + r * ${p.a.pitch}u + ${i}u`);
  const body = [
    `let batch = group / ${blocks}u;`,
    `let column0 = (group % ${blocks}u) * ${width}u + (lane % ${across}u) * 4u;`,
    `let column = min(column0, ${Math.max(0, p.n - 4)}u);`,
    `let y = lane / ${across}u;`,
    `let a_row = ${firstElement(p.a)};`,
    `let b_row = ${firstElement(p.b)};`,
    ...rows.map((i) => `var sum${i} = vec4<f32>();`),
    `for (var r = y; r < ${p.k}u; r += ${deep}u) {`,
    `  let v = ${b};`,
    ...rows.map((i) => `  sum${i} += ${a(i)} * v;`),
    '}',
    ...rows.map((i) => `part[lane + ${i * size}u] = sum${i};`),
    ...[deep / 2, deep / 4, deep / 8].map((half) => `workgroupBarrier();\n  if (y < ${half}u) { ${rows.map((i) => `part[lane + ${i * size}u] += part[lane + ${half * across + i * size}u];`).join(' ')} }`),
    'if (y == 0u) {',
    ...rows.map((i) => `  { let result = part[lane + ${i * size}u]; ${finishRow(finish, p, 'batch', `${i}u`, 'column0', 'result')} }`),
    '}',
  ];
  return {
    label: `wgsl matmul, ${p.m} ${p.m === 1 ? 'row' : 'rows'}, ${across * 4} columns by ${deep} along k`,
    bindings: [memory.input(0, 'a', factorType(p.a)), memory.input(1, 'b', factorType(p.b)), ...finish.bindings],
    declarations: [`var<workgroup> part: array<vec4<f32>, ${size * p.m}>;`, widening(p.b), finish.declarations].join('\n'),
    body: body.map((l) => `  ${l}`).join('\n'),
    workgroupSize: size,
    workgroups: blocks * p.batch,
  };
}

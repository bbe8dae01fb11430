import type { Pass } from '../../pass';
import type { StepMemory } from '../../routine';
import { type Finish, finishRow } from './finish';
import { blockLoader, type Factor, factorType, type Problem } from './problem';

const workgroupSize = 64;
const components = ['x', 'y', 'z', 'w'] as const;

/**
 * A block of 4 by 4 results per invocation, straight from memory: no barriers, which a rasteriser in software pays for dearly, and a tenth of a
 * tile's code.
 */
export function blockPass(p: Problem, memory: StepMemory, finish: Finish): Pass {
  const down = Math.ceil(p.m / 4);
  const across = Math.ceil(p.n / 4);
  const total = down * across * p.batch;
  const load = ({ name, along }: Factor, origin: string): string[] => [
    `for (var i = 0u; i < 4u; i++) {`,
    `  let v = load_${name}(batch, ${origin}${along === 'k' ? ' + i, p' : ', p + i'});`,
    ...(along === 'outer' ? [`  ${name}_block[i] = v;`] : components.map((c, q) => `  ${name}_block[${q}][i] = v.${c};`)),
    '}',
  ];
  // Loops, not repeated text: calls are expanded where they stand, and there is little to gain from speed here.
  const body = [
    `let at = group * ${workgroupSize}u + lane;`,
    `if (at >= ${total}u) { return; }`,
    `let column = (at % ${across}u) * 4u;`,
    `let row = ((at / ${across}u) % ${down}u) * 4u;`,
    `let batch = at / ${across * down}u;`,
    'var c = array<vec4<f32>, 4>();',
    'var a_block = array<vec4<f32>, 4>();',
    'var b_block = array<vec4<f32>, 4>();',
    `for (var p = 0u; p < ${p.k}u; p += 4u) {`,
    ...[...load(p.a, 'row'), ...load(p.b, 'column')].map((l) => `  ${l}`),
    '  for (var r = 0u; r < 4u; r++) {',
    `    c[r] += ${[0, 1, 2, 3].map((q) => `a_block[${q}][r] * b_block[${q}]`).join(' + ')};`,
    '  }',
    '}',
    'for (var r = 0u; r < 4u; r++) {',
    `  if (row + r >= ${p.m}u) { return; }`,
    '  let result = c[r];',
    `  ${finishRow(finish, p, 'batch', '(row + r)', 'column', 'result')}`,
    '}',
  ];
  const inputs = p.k === 0 ? [] : [memory.input(0, 'a', factorType(p.a)), memory.input(1, 'b', factorType(p.b))];
  return {
    label: 'wgsl matmul, 4x4 an invocation',
    bindings: [...inputs, ...finish.bindings],
    declarations: [blockLoader(p.a), blockLoader(p.b), finish.declarations].join('\n'),
    body: body.map((l) => `  ${l}`).join('\n'),
    workgroupSize,
    workgroups: Math.ceil(total / workgroupSize),
  };
}

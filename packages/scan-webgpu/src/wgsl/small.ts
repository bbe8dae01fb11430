// The small kernels: states between segments, sums over rows, copies into and out of the scratch.
import { type KernelOptions, entryHead, hasArray, moduleHead, reducedGradients, widthOf } from './module';

/**
 * `starts` of a segment holds where its neighbour (forward: the segment before it, backward: the one behind it) ends if
 * that starts from zero; the outermost started from the true state. Adds what lies beyond the neighbours.
 */
export function combineKernel(options: KernelOptions): string {
  const width = widthOf(options);
  const load = (name: string): string =>
    width === 2 ? `vec2f(get_${name}(at), get_${name}(at + 1))` : `get_${name}(at)`;
  const advance = width === 2 ? 'vec2f(a.x * state.x - a.y * state.y, a.x * state.y + a.y * state.x)' : 'a * state';
  const store = width === 2 ? 'set_starts(at, state.x); set_starts(at + 1, state.y);' : 'set_starts(at, state);';
  return `${moduleHead(options)}
${entryHead(options)}
  let perBatch = sizes.count;
  let element = (index * ${options.workgroup} + lane) * ${width};
  if (element >= sizes.batch * perBatch) { return; }
  let row = element / perBatch * sizes.segments;
  var segment = select(1u, sizes.segments - 2, sizes.reverse != 0);
  var at = (row + segment) * perBatch + element % perBatch;
  var state = ${load('starts')};
  for (var i = 2u; i < sizes.segments; i++) {
    segment = select(segment + 1, segment - 1, sizes.reverse != 0);
    at = (row + segment) * perBatch + element % perBatch;
    let a = ${load('decays')};
    state = ${advance} + ${load('starts')};
    ${store}
  }
}
`;
}

/**
 * Adds up rows of what chunks and parts left of the gradients of A, B, C, D and deltaBias, in a fixed order: one dispatch
 * for all of them. \`sums\` in scratch takes what is to be added up further; otherwise sums go to their gradients.
 */
export function reduceKernel(options: KernelOptions): string {
  const targets = reducedGradients.map((name, index) => {
    const set = hasArray(options, name)
      ? `if (last) { set_${name}(to, total); } else { scratch[to] = total; }`
      : 'scratch[to] = total;';
    return `    case ${index}u: { ${set} }`;
  });
  const choose = reducedGradients
    .map(
      (_, index) => `  if (sizes.sum${index}_groups > 0 && index >= sizes.sum${index}_first) {
    which = ${index}u; source = sizes.sum${index}_from; target0 = sizes.sum${index}_to; rows = sizes.sum${index}_rows;
    columns = sizes.sum${index}_columns; perSplit = sizes.sum${index}_rowsPerSplit; first = sizes.sum${index}_first; groups = sizes.sum${index}_groups;
  }`,
    )
    .join('\n');
  return `${moduleHead(options)}
${entryHead(options)}
  var which = 0u; var source = 0u; var target0 = 0u; var rows = 0u; var columns = 1u; var perSplit = 1u; var first = 0u; var groups = 1u;
${choose}
  let split = (index - first) / groups;
  let column = (index - first) % groups * ${options.workgroup} + lane;
  if (column >= columns) { return; }
  let begin = split * perSplit;
  let end = min(begin + perSplit, rows);
  var sum = vec4f();
  var row = begin;
  for (; row + 4 <= end; row += 4) {
    let at = source + row * columns + column;
    sum += vec4f(scratch[at], scratch[at + columns], scratch[at + 2 * columns], scratch[at + 3 * columns]);
  }
  for (; row < end; row++) { sum.x += scratch[source + row * columns + column]; }
  let total = (sum.x + sum.y) + (sum.z + sum.w);
  let to = target0 + split * columns + column;
  let last = sizes.reverse != 0;
  switch (which) {
${targets.join('\n')}
    default: {}
  }
}
`;
}

/** Copies one array into or out of the scratch, for kernels that need more arrays than a stage may bind. */
export function copyKernel(options: KernelOptions): string {
  const array = options.arrays.find(({ place }) => place === 'binding');
  if (array === undefined) throw new Error('a copy has one array of its own');
  const inwards = array.access === 'read';
  const body = inwards
    ? `scratch[sizes.at_sums + i] = get_${array.name}(i);`
    : `set_${array.name}(i, scratch[sizes.at_sums + i]);`;
  return `${moduleHead(options)}
${entryHead(options)}
  for (var j = 0u; j < 4; j++) {
    let i = (index * 4 + j) * ${options.workgroup} + lane;
    if (i < sizes.count) { ${body} }
  }
}
`;
}

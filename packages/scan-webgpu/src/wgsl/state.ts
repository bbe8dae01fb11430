import { circleCode } from './math';

/** What the arithmetic on states depends on. */
export interface StateKind {
  readonly complex: boolean;
  readonly dState: number;
  readonly vectors: number;
  readonly lanes: number;
}

const fieldsOf = ({ complex, vectors }: StateKind): string[] =>
  Array.from({ length: vectors }, (_, v) => (complex ? [`r${v}`, `i${v}`] : [`r${v}`])).flat();

/** Bytes of a State in workgroup memory. */
export function stateBytes({ complex, vectors }: Pick<StateKind, 'complex' | 'vectors'>): number {
  return 16 * vectors * (complex ? 2 : 1);
}

/**
 * The type State, one invocation's share of a channel's states (4 x `vectors` of them), and its arithmetic. The
 * kernels are written with these functions only, once for real and complex.
 */
export function stateCode(kind: StateKind): string {
  const { complex, vectors } = kind;
  const fields = fieldsOf(kind);
  const each = (value: (field: string) => string): string => `State(${fields.map(value).join(', ')})`;
  const eachVector = (value: (v: number) => string): string[] => Array.from({ length: vectors }, (_, v) => value(v));
  const pairs = (re: (v: number) => string, im: (v: number) => string): string =>
    `State(${eachVector((v) => `${re(v)}, ${im(v)}`).join(', ')})`;
  const mul = complex
    ? pairs(
        (v) => `a.r${v} * b.r${v} - a.i${v} * b.i${v}`,
        (v) => `a.r${v} * b.i${v} + a.i${v} * b.r${v}`,
      )
    : each((f) => `a.${f} * b.${f}`);
  const mulConj = complex
    ? pairs(
        (v) => `a.r${v} * b.r${v} + a.i${v} * b.i${v}`,
        (v) => `a.r${v} * b.i${v} - a.i${v} * b.r${v}`,
      )
    : mul;
  const seed = complex
    ? pairs(
        (v) => `twice * c.r${v}`,
        (v) => `-twice * c.i${v}`,
      )
    : each((f) => `g * c.${f}`);
  const decay = complex
    ? `${eachVector((v) => `  let m${v} = exp2(x * a.r${v});\n  let c${v} = circle(dt * a.i${v});`).join('\n')}
  return ${pairs(
    (v) => `m${v} * c${v}.cosine`,
    (v) => `m${v} * c${v}.sine`,
  )};`
    : `  return ${each((f) => `exp2(x * a.${f})`)};`;
  const readout = complex
    ? `2.0 * (${eachVector((v) => `dot(c.r${v}, h.r${v}) - dot(c.i${v}, h.i${v})`).join(' + ')})`
    : fields.map((f) => `dot(c.${f}, h.${f})`).join(' + ');
  return `${complex ? circleCode : ''}
struct State { ${fields.map((f) => `${f}: vec4f`).join(', ')} }
fn zeroState() -> State { return ${each(() => 'vec4f()')}; }
fn oneState() -> State { return ${each((f) => `vec4f(${f.startsWith('r') ? '1.0' : '0.0'})`)}; }
fn plus(a: State, b: State) -> State { return ${each((f) => `a.${f} + b.${f}`)}; }
fn times(s: f32, a: State) -> State { return ${each((f) => `s * a.${f}`)}; }
fn mul(a: State, b: State) -> State { return ${mul}; }
// conj(a) b
fn mulConj(a: State, b: State) -> State { return ${mulConj}; }
// exp(dt a)
fn decayOf(dt: f32, a: State) -> State {
  let x = dt * 1.44269504;
${decay}
}
// real: sum c h; complex: 2 Re sum c h
fn readout(c: State, h: State) -> f32 { return ${readout}; }
// g conj(c), twice that in complex mode: what the readout's gradient is to h, or to c with h for c
fn seed(g: f32, c: State) -> State { ${complex ? 'let twice = 2.0 * g; ' : ''}return ${seed}; }
// Re sum s conj(b)
fn inner(s: State, b: State) -> f32 { return ${fields.map((f) => `dot(s.${f}, b.${f})`).join(' + ')}; }
`;
}

/** Functions `NAME_state(base, lane)` that read a lane's states, those past dState as 0, through `NAME(index)`. */
export function stateLoaderCode(kind: StateKind, load: string): string {
  const { complex, dState, vectors, lanes } = kind;
  const width = complex ? 2 : 1;
  const exact = lanes * vectors * 4 === dState;
  const vector = (v: number, part: number): string => {
    const element = (k: number): string => {
      const at = `at + ${(4 * v + k) * width + part}u`;
      return exact ? `${load}(${at})` : `${load}_within(${at}, n + ${4 * v + k}u)`;
    };
    return `vec4f(${[0, 1, 2, 3].map(element).join(', ')})`;
  };
  const parts = Array.from({ length: vectors }, (_, v) => (complex ? [vector(v, 0), vector(v, 1)] : [vector(v, 0)]));
  const guard = exact
    ? ''
    : `fn ${load}_within(i: u32, n: u32) -> f32 { if (n < ${dState}u) { return ${load}(i); } return 0.0; }\n`;
  return `${guard}fn ${load}_state(base: u32, lane: u32) -> State {
  let n = lane * ${4 * vectors}u;
  let at = base + n * ${width}u;
  return State(${parts.flat().join(',\n    ')});
}
`;
}

/** Functions `NAME_state(base, lane, value)` that write a lane's states through `NAME(index, value)`. */
export function stateStorerCode(kind: StateKind, store: string): string {
  const { complex, dState, vectors, lanes } = kind;
  const width = complex ? 2 : 1;
  const exact = lanes * vectors * 4 === dState;
  const lines: string[] = [];
  for (let v = 0; v < vectors; v++) {
    for (let k = 0; k < 4; k++) {
      const writes = (complex ? ['r', 'i'] : ['r']).map(
        (part, p) => `${store}(at + ${(4 * v + k) * width + p}u, value.${part}${v}[${k}]);`,
      );
      lines.push(exact ? writes.join(' ') : `if (n + ${4 * v + k}u < ${dState}u) { ${writes.join(' ')} }`);
    }
  }
  return `fn ${store}_state(base: u32, lane: u32, value: State) {
  let n = lane * ${4 * vectors}u;
  let at = base + n * ${width}u;
  ${lines.join('\n  ')}
}
`;
}

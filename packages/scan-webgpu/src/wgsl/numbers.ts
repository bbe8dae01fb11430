// WGSL of numbers: four neighbouring states of a channel (`State`), real or complex, behind one set of names.

const real = /* wgsl */ `
alias State = vec4f;
fn zeroState() -> State { return vec4f(); }
fn scale(f: f32, v: State) -> State { return f * v; }
fn add(a: State, b: State) -> State { return a + b; }
fn multiply(a: State, b: State) -> State { return a * b; }
fn multiplyAdd(a: State, b: State, c: State) -> State { return fma(a, b, c); }
fn conjugate(a: State) -> State { return a; }
// Re of the sum over states of a b
fn realOfProduct(a: State, b: State) -> f32 { return dot(a, b); }
// A as kept: times log2(e)
fn scaledA(a: State) -> State { return 1.4426950408889634 * a; }
fn decay(dt: f32, a: State) -> State { return exp2(dt * a); }
// Re of the sum over states of q conj(A), from the scaled A
fn alongA(q: State, a: State) -> f32 { return 0.6931471805599453 * dot(q, a); }
`;

// WGSL promises sines to 2^-11 only; angles are in turns, reduced exactly, and their sines are polynomials.
const complex = /* wgsl */ `
struct State { re: vec4f, im: vec4f }
fn zeroState() -> State { return State(vec4f(), vec4f()); }
fn scale(f: f32, v: State) -> State { return State(f * v.re, f * v.im); }
fn add(a: State, b: State) -> State { return State(a.re + b.re, a.im + b.im); }
fn multiply(a: State, b: State) -> State { return State(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re); }
fn multiplyAdd(a: State, b: State, c: State) -> State {
  return State(fma(a.re, b.re, fma(-a.im, b.im, c.re)), fma(a.re, b.im, fma(a.im, b.re, c.im)));
}
fn conjugate(a: State) -> State { return State(a.re, -a.im); }
fn realOfProduct(a: State, b: State) -> f32 { return dot(a.re, b.re) - dot(a.im, b.im); }
fn scaledA(a: State) -> State { return State(1.4426950408889634 * a.re, 0.15915494309189535 * a.im); }
fn decay(dt: f32, a: State) -> State {
  let turns = dt * a.im;
  let quarter = round(4.0 * turns);
  let x = 6.283185307179586 * (turns - 0.25 * quarter); // within pi / 4
  let x2 = x * x;
  let sine = x + x * x2 * (-0.16666667 + x2 * (0.0083333310 + x2 * (-0.00019840874 + x2 * 2.7525562e-6)));
  let cosine = 1.0 + x2 * (-0.5 + x2 * (0.041666638 + x2 * (-0.0013888378 + x2 * 2.4760495e-5)));
  let q = quarter - 4.0 * floor(0.25 * quarter);
  let odd = (q == vec4f(1.0)) | (q == vec4f(3.0));
  let size = exp2(dt * a.re);
  let re = select(cosine, sine, odd) * select(vec4f(1.0), vec4f(-1.0), (q == vec4f(1.0)) | (q == vec4f(2.0)));
  let im = select(sine, cosine, odd) * select(vec4f(1.0), vec4f(-1.0), q >= vec4f(2.0));
  return State(size * re, size * im);
}
fn alongA(q: State, a: State) -> f32 {
  return 0.6931471805599453 * dot(q.re, a.re) + 6.283185307179586 * dot(q.im, a.im);
}
`;

const gates = /* wgsl */ `
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp2(-1.4426950408889634 * max(x, -80.0))); }
`;

// log(1 + e^x), the identity above 20, where e^x would overflow later on; for small e^x by its series, since 1 + e^x
// would lose its digits. y: the slope.
const softplus = /* wgsl */ `
fn timeStep(x: f32) -> vec2f {
  let e = exp2(1.4426950408889634 * min(x, 20.0));
  let plus = 1.0 + e;
  let series = e * (1.0 - e * (0.5 - e * (0.33333333 - 0.25 * e)));
  let soft = select(log2(plus) * 0.6931471805599453, series, e < 0.0625);
  return select(vec2f(soft, e / plus), vec2f(x, 1.0), x > 20.0);
}
`;

const identity = /* wgsl */ `
fn timeStep(x: f32) -> vec2f { return vec2f(x, 1.0); }
`;

/** Functions on states, gates and time steps. */
export function numbers(isComplex: boolean, deltaSoftplus: boolean): string {
  return (isComplex ? complex : real) + gates + (deltaSoftplus ? softplus : identity);
}

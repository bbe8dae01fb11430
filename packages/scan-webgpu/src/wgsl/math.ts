/**
 * Scalar functions. WGSL's log and sin only promise absolute errors (2^-21 and 2^-11), so softplus and the complex
 * decay are written out: log1p(e) = 2 atanh(e / (2 + e)) by its series, sine and cosine by Cody and Waite's reduction
 * and the polynomials of the Cephes library's sinf and cosf.
 */
export const softplusCode = `
fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  let s = e / (2.0 + e);
  let q = s * s;
  let series = 1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * 0.07692308)))));
  return select(max(x, 0.0) + 2.0 * s * series, x, x > 20.0);
}
`;

export const sigmoidCode = `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  let r = 1.0 / (1.0 + e);
  return select(e * r, r, x >= 0.0);
}
`;

export const circleCode = `
struct Circle { cosine: vec4f, sine: vec4f }
fn circle(x: vec4f) -> Circle {
  let k = round(x * 0.63661977);
  let r = ((x - k * 1.5703125) - k * 4.837512969970703e-4) - k * 7.549789948768648e-8;
  let q = r * r;
  let s = r + r * q * (-1.6666654611e-1 + q * (8.3321608736e-3 - q * 1.9515295891e-4));
  let c = 1.0 - 0.5 * q + q * q * (4.166664568e-2 + q * (-1.388731625e-3 + q * 2.443315711e-5));
  let quadrant = vec4i(k) & vec4i(3);
  let odd = (quadrant & vec4i(1)) == vec4i(1);
  let sine = select(s, c, odd);
  let cosine = select(c, s, odd);
  return Circle(
    select(cosine, -cosine, ((quadrant + vec4i(1)) & vec4i(2)) == vec4i(2)),
    select(sine, -sine, (quadrant & vec4i(2)) == vec4i(2)));
}
`;

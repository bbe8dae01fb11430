import { type Complex, type Tensor, where } from '@mamba-ts/tensor';

/**
 * The angle of `x` in (−π, π], to the precision of the device, with its gradient. `x` must not be 0.
 *
 * With c + is = x/|x| and a rough φ₀, φ₀ + sin(φ − φ₀) = φ₀ + s cos φ₀ − c sin φ₀ is off by (φ − φ₀)³/6 only, and its
 * derivative at fixed φ₀ is that of the angle, again to (φ − φ₀)²: so it is done twice. φ₀ comes from a polynomial for
 * the arctangent (Abramowitz and Stegun 4.4.49) of tan(φ/2) = s / (1 + |c|), good to 3e-5.
 */
export function angle(x: Complex): Tensor {
  const inverse = x.abs2().rsqrt();
  const c = x.re.mul(inverse);
  const s = x.im.mul(inverse);
  const [fixedC, fixedS] = [c.stopGradient(), s.stopGradient()];
  const t = fixedS.div(fixedC.abs().add(1));
  const t2 = t.square();
  const series = t2.mul(0.0208351).sub(0.085133).mul(t2).add(0.180141).mul(t2).sub(0.3302995).mul(t2).add(0.999866);
  const right = t.mul(series).mul(2);
  const left = where(fixedS.less(0), -Math.PI, Math.PI).sub(right);
  const rough = where(fixedC.less(0), left, right);
  const fine = rough.add(fixedS.mul(rough.cos()).sub(fixedC.mul(rough.sin())));
  return fine.add(s.mul(fine.cos()).sub(c.mul(fine.sin())));
}

import { Complex, type Tensor } from '@mamba-ts/tensor';

/** (copies, modes) → (dModel, modes): channel h has copy h mod copies, as in the s4 repository. */
export function perChannel(x: Complex, dModel: number): Complex {
  const [copies, modes] = x.re.shape;
  if (copies === dModel) return x;
  const repeat = (part: Tensor): Tensor =>
    part
      .unsqueeze(0)
      .expand(dModel / copies, copies, modes)
      .reshape(dModel, modes);
  return new Complex(repeat(x.re), repeat(x.im));
}

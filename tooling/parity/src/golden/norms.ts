import { LayerNorm, RMSNorm } from '@mamba-ts/nn';
import { silu } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase } from './golden-case';

export function* checkNorms(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const x = golden.input('x');
  const width = x.shape.at(-1)!;
  const eps = golden.inputNumber('eps');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const options = { eps, device: on.device };
    const found = evaluate(() => ({
      rms: new RMSNorm(width, options).forward(upload(on, x)),
      layer: new LayerNorm(width, options).forward(upload(on, x)),
    }));
    yield agrees('RMSNorm', found.rms, golden.output('rms').data);
    yield agrees('LayerNorm', found.layer, golden.output('layer').data);
  }
}

/** Mamba-2's norm of a gated signal. The scalar norm of S4's transposed backbones is in no package. */
export function* checkNormVariants(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const y = golden.input('y');
  for (const on of devices) {
    const found = evaluate(() => {
      const norm = new RMSNorm(y.shape.at(-1)!, { device: on.device });
      return { gated: norm.forward(upload(on, y).mul(silu(upload(on, golden.input('z'))))) };
    });
    yield agreement(golden, on)('gated RMSNorm', found.gated, golden.output('mamba2_gated_rms').data);
  }
}

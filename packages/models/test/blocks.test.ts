import { S4D, S6 } from '@mamba-ts/ssm';
import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { RandomGenerator, reference, type Tensor, tensor } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { type Layer, MambaBlock, PlainBlock } from '../src/index';
import { floatDevices } from './devices';
import { expectNumbers, golden, missing, type Nested } from './golden';
import { disposeEmpty, evaluate } from './harness';

const inner =
  (name: string, random: RandomGenerator) =>
  (width: number): Layer => {
    switch (name) {
      case 's6':
        return new S6({ dModel: width, dState: 3, dtRank: 1 }, random);
      case 'complex s6':
        return new S6({ dModel: width, dState: 4, dtRank: 1, aInit: 's4d-lin' }, random);
      default:
        return new S4D({ dModel: width, dState: 4 }, random);
    }
  };

for (const name of ['s6', 'complex s6', 's4d']) {
  testSequenceLayer(
    { describe, it },
    `Mamba block with ${name}`,
    (random) => new MambaBlock({ dModel: 3, nLayer: 2, layer: inner(name, random) }, random),
    { devices: floatDevices },
  );
  testSequenceLayer(
    { describe, it },
    `plain block with ${name}`,
    (random) => new PlainBlock({ dModel: 3, layer: inner(name, random) }, random),
    { devices: floatDevices },
  );
}
testSequenceLayer(
  { describe, it },
  'Mamba block, biases, narrow',
  (random) =>
    new MambaBlock(
      { dModel: 4, expand: 0.5, dConv: 2, bias: true, convBias: false, layer: inner('s6', random) },
      random,
    ),
  { devices: floatDevices },
);
testSequenceLayer(
  { describe, it },
  'Mamba block without convolution to speak of, around a plain block',
  (random) =>
    new MambaBlock(
      { dModel: 2, dConv: 1, layer: (width) => new PlainBlock({ dModel: width, layer: inner('s6', random) }, random) },
      random,
    ),
  { devices: floatDevices },
);

describe('Mamba block', () => {
  it.skipIf(missing('mamba_block_d2_L5'))('mamba_block_d2_L5: output and states', async () => {
    const { inputs, outputs, tol_rel } = golden<
      {
        x: number[][];
        weights: Record<'in_W' | 'conv_w' | 'conv_b' | 'x_W' | 'dt_W' | 'dt_b' | 'A_log' | 'D' | 'out_W', Nested[]> & {
          N: number;
          dt_rank: number;
        };
      },
      { y: Nested; final_ssm_state: Nested; final_conv_state: number[][] }
    >('mamba_block_d2_L5');
    const device = await reference();
    const { weights: w } = inputs;
    const random = new RandomGenerator(1, device);
    const block = new MambaBlock(
      { dModel: 2, layer: (width) => new S6({ dModel: width, dState: w.N, dtRank: w.dt_rank }, random) },
      random,
    );
    const values: Record<string, Nested[]> = {
      'in_proj.weight': w.in_W,
      'conv1d.weight': w.conv_w,
      'conv1d.bias': w.conv_b,
      'x_proj.weight': w.x_W,
      'dt_proj.weight': w.dt_W,
      'dt_proj.bias': w.dt_b,
      A_log: w.A_log,
      D: w.D,
      'out_proj.weight': w.out_W,
    };
    // Also: these are all the parameters there are.
    expect([...block.stateDict().keys()].sort()).toEqual(Object.keys(values).sort());
    for (const [path, v] of block.stateDict()) v.write(Float64Array.from(values[path].flat(3) as number[]));
    const x = (): Tensor => tensor(inputs.x, { device }).unsqueeze(0);
    expectNumbers(await evaluate(() => block.forward(x())), outputs.y, tol_rel);
    expectNumbers(await evaluate(() => block.prefill(x())[1]['inner.ssm']), outputs.final_ssm_state, tol_rel);
    // The official cache keeps one input more, the oldest.
    const conv = outputs.final_conv_state.map((row) => row.slice(1));
    expectNumbers(await evaluate(() => block.prefill(x())[1].conv.squeeze(0).transpose()), conv, tol_rel);
    block.dispose();
    random.dispose();
    disposeEmpty(device);
  });

  it('starts with an output projection 1/√nLayer as large, and zero biases', async () => {
    const device = await reference();
    const random = new RandomGenerator(1, device);
    const largest = (nLayer: number): number => {
      const block = new MambaBlock({ dModel: 16, nLayer, bias: true, layer: inner('s6', random) }, random);
      expect(
        new Set([...(block.in_proj.bias?.dataSync() ?? [1]), ...(block.out_proj.bias?.dataSync() ?? [1])]),
      ).toEqual(new Set([0]));
      const size = Math.max(...Array.from(block.out_proj.weight.dataSync(), Math.abs));
      block.dispose();
      return size;
    };
    expect(largest(1)).toBeGreaterThan(0.95 / Math.sqrt(32));
    expect(largest(1)).toBeLessThanOrEqual(1 / Math.sqrt(32));
    expect(largest(16)).toBeGreaterThan(0.95 / Math.sqrt(32) / 4);
    expect(largest(16)).toBeLessThanOrEqual(1 / Math.sqrt(32) / 4);
    random.dispose();
    device.dispose();
  });
});

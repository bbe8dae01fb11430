import { H3SSM, HyenaConvolution, S4D, S6 } from '@mamba-ts/ssm';
import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { RandomGenerator, reference, type Tensor, tensor } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { H3Block, type H3BlockConfig, type Layer, MambaBlock, PlainBlock } from '../src/index';
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

for (const [name, headDim, layer] of [
  [
    'H3 block, two channels a head, with its own layer',
    2,
    (width, random) => new H3SSM({ dModel: width, dState: 4 }, random),
  ],
  [
    'H3 block with s6, two channels a head',
    2,
    (width, random) => new S6({ dModel: width, dState: 3, dtRank: 1 }, random),
  ],
  [
    'H3 block with Hyena’s convolution',
    1,
    (width, random) => new HyenaConvolution({ dModel: width, lMax: 200, filterOrder: 4 }, random),
  ],
] as const satisfies readonly (readonly [string, number, (width: number, random: RandomGenerator) => Layer])[]) {
  testSequenceLayer(
    { describe, it },
    name,
    (random) => new H3Block({ dModel: 4, headDim, dState: 3, layer: (width) => layer(width, random) }, random),
    { devices: floatDevices },
  );
}

describe('H3 block', () => {
  it('is its inner layer where keys are the input and queries and values are one', async () => {
    const device = await reference();
    const random = new RandomGenerator(1, device);
    const block = new H3Block(
      { dModel: 3, dState: 4, layer: (width) => new S4D({ dModel: width, dState: 4 }, random) },
      random,
    );
    const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    const values: Record<string, readonly number[]> = {
      'q_proj.weight': new Array(9).fill(0),
      'q_proj.bias': [1, 1, 1],
      'k_proj.weight': identity,
      'v_proj.weight': new Array(9).fill(0),
      'v_proj.bias': [1, 1, 1],
      'output_linear.weight': identity,
      // The shift leaves keys where they are: C = e_1 and no skip.
      'ssm_k_kernel.kernel.C': [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
      ssm_k_D: [0, 0, 0],
    };
    for (const [path, v] of Object.entries(values)) block.stateDict().get(path)?.write(Float64Array.from(v));
    const x = (): Tensor =>
      tensor(
        Float64Array.from({ length: 24 }, (_, i) => Math.sin(i * i)),
        { shape: [1, 8, 3], device },
      );
    expectNumbers(await evaluate(() => block.forward(x())), await evaluate(() => block.layer.forward(x())), 1e-13);
    block.dispose();
    random.dispose();
    disposeEmpty(device);
  });

  it('starts as the language models of its paper, and refuses what makes no sense', async () => {
    const device = await reference();
    const random = new RandomGenerator(1, device);
    const make = (config: object): H3Block =>
      new H3Block({ dModel: 48, layer: inner('s4d', random), ...config } as H3BlockConfig, random);
    const block = make({});
    expect(block.ssm_k_kernel.kernel.B.shape).toEqual([48, 64]);
    for (const part of [block.q_proj, block.k_proj, block.v_proj, block.output_linear]) {
      const weights = Array.from(part.weight.dataSync());
      expect(Math.sqrt(weights.reduce((sum, w) => sum + w * w, 0) / weights.length)).toBeCloseTo(0.02, 2);
      expect(new Set(part.bias?.dataSync())).toEqual(new Set([0]));
    }
    expect(() => make({ headDim: 5 })).toThrow(/headDim is 5, expected a divisor of dModel \(48\)/);
    expect(() => make({ outputOrder: 'neither' })).toThrow(/outputOrder is "neither", expected one of head, channel/);
    block.dispose();
    random.dispose();
    device.dispose();
  });
});

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

import { H3Block } from '@mamba-ts/models';
import type { Module } from '@mamba-ts/nn';
import { H3SSM, Hyena, hyenaDecays, hyenaPositions, hyenaWindow } from '@mamba-ts/ssm';
import { scope } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';
import { agreement, type GoldenCase, type GoldenChecker } from './golden-case';

/** Sections 3 and 4 of the index: H3, Hyena, HyenaDNA. */
export const h3AndHyenaCheckers: readonly GoldenChecker[] = [
  { prefix: 'h3_', check: checkH3 },
  { prefix: 'hyena_positional', check: checkPositions },
  { prefix: 'hyena_modulation', check: checkWindow },
  { prefix: 'hyena_order', check: checkHyena },
];

/** Writes values of the case into a module, every parameter of which must be given. */
function write(module: Module, values: Readonly<Record<string, ArrayLike<number>>>): void {
  for (const [path, parameter] of module.stateDict()) {
    const given = values[path];
    if (given === undefined) throw new Error(`the case gives no ${path}`);
    parameter.write(Float64Array.from(given));
  }
}

/** One sequence: (1, length, width) */
function sequenceOf(golden: GoldenCase): { data: Float64Array; shape: [number, number, number] } {
  const { data, shape } = golden.input('u');
  return { data, shape: [1, shape[0]!, shape[1]!] };
}

function* checkH3(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const u = sequenceOf(golden);
  const dModel = u.shape[2];
  const w = (name: string): Float64Array => golden.input('weights', name).data;
  const dState = golden.input('weights', 'Cshift').shape[1]!;
  const A = golden.input('weights', 'A');
  const modes = A.shape[1]!;
  const values = {
    'q_proj.weight': w('Wq'),
    'q_proj.bias': w('bq'),
    'k_proj.weight': w('Wk'),
    'k_proj.bias': w('bk'),
    'v_proj.weight': w('Wv'),
    'v_proj.bias': w('bv'),
    'output_linear.weight': w('Wo'),
    'output_linear.bias': w('bo'),
    'ssm_k_kernel.kernel.B': Float64Array.from({ length: dModel * dState }, (_, i) => Number(i % dState === 0)),
    'ssm_k_kernel.kernel.C': w('Cshift'),
    ssm_k_D: w('Dshift'),
    'kernel.kernel.log_dt': w('dt').map(Math.log),
    'kernel.kernel.inv_A_real': A.data.filter((_, i) => i % 2 === 0).map((re) => Math.log(-re)),
    'kernel.kernel.A_imag': A.data.filter((_, i) => i % 2 === 1),
    'kernel.kernel.B': w('B'),
    'kernel.kernel.C': w('C'),
    D: w('D'),
  };
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const { y, stepped } = scope(() => {
      const block = new H3Block(
        {
          dModel,
          dState,
          headDim: golden.inputNumber('head_dim'),
          layer: (width) => new H3SSM({ dModel: width, dState: 2 * modes }, on.random),
        },
        on.random,
      );
      write(block, values);
      return { ...evaluate(() => ({ y: block.forward(upload(on, u)) })), stepped: runSteps(block, on, u).y };
    });
    yield agrees('y', y, golden.output('y').data);
    yield agrees('y, stepped', stepped, golden.output('y').data);
  }
}

function* checkPositions(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  for (const embDim of golden.input('emb_dims').data) {
    const z = hyenaPositions(golden.inputNumber('l_max'), embDim);
    yield agrees(`z, ${embDim} features`, z, golden.output(`z_emb${embDim}`).data);
  }
}

function* checkWindow(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const [fast, slow, target] = ['fast', 'slow', 'target'].map((name) => golden.inputNumber(name)) as [
    number,
    number,
    number,
  ];
  const deltas = hyenaDecays(golden.inputNumber('d_model'), fast, slow, target);
  yield agreement(golden)('|δ|', deltas.map(Math.abs), golden.output('abs_deltas').data);
  for (const on of devices) {
    const { window } = evaluate(() => {
      const t = upload(on, golden.input('t')).unsqueeze(1);
      return {
        window: hyenaWindow(t, upload(on, { data: deltas, shape: [deltas.length] }), golden.inputNumber('shift')),
      };
    });
    yield agreement(golden, on)('window', window, golden.output('window[t][d]').data);
  }
}

function* checkHyena(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const u = sequenceOf(golden);
  const size = (name: string): number => golden.inputNumber('weights', name);
  const w = (name: string): Float64Array => golden.input('weights', name).data;
  const layers = golden.inputNames('weights').filter((name) => /^W\d+$/.test(name)).length;
  const [dModel, lMax, embDim] = [size('d_model'), size('l_max'), size('emb_dim')];
  const values: Record<string, ArrayLike<number>> = {
    'in_proj.weight': w('in_W'),
    'in_proj.bias': w('in_b'),
    'short_filter.weight': w('short_w'),
    'short_filter.bias': w('short_b'),
    'out_proj.weight': w('out_W'),
    'out_proj.bias': w('out_b'),
    'filter_fn.bias': w('filter_bias'),
  };
  for (let i = 0; i < layers; i++) {
    values[`filter_fn.implicit_filter.${2 * i}.weight`] = w(`W${i + 1}`);
    if (i === layers - 1) continue;
    values[`filter_fn.implicit_filter.${2 * i}.bias`] = w(`b${i + 1}`);
    values[`filter_fn.implicit_filter.${2 * i + 1}.freq`] = w('freq');
  }
  const config = {
    dModel,
    order: golden.input('weights', 'in_W').shape[0]! / dModel - 1,
    shortFilter: golden.input('weights', 'short_w').shape[1]!,
    lMax,
    embDim,
    filterOrder: size('filter_order'),
    innerMlps: layers - 2,
    sineFrequency: size('w_freq'),
    windowShift: size('shift'),
    fastDecay: size('fast'),
    slowDecay: size('slow'),
  };
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const { found, stepped } = scope(() => {
      const layer = new Hyena(config, on.random);
      // What is no parameter of the case is as the layer makes it.
      for (const path of ['filter_fn.pos_emb.z', 'filter_fn.pos_emb.t', 'filter_fn.modulation.deltas'])
        values[path] = layer.stateDict().get(path)!.dataSync();
      write(layer, values);
      const atOnce = evaluate(() => {
        const x = upload(on, u);
        return {
          short: layer.short_filter.forward(layer.in_proj.forward(x)),
          filter: layer.filter_fn.taps(u.shape[1]),
          y: layer.forward(x),
        };
      });
      return { found: atOnce, stepped: runSteps(layer, on, u).y };
    });
    yield agrees('after the short convolution', found.short, golden.output('after_short_conv').data);
    yield agrees('filter', found.filter, golden.output('filter_k[l][d]').data);
    yield agrees('y', found.y, golden.output('y').data);
    yield agrees('y, stepped', stepped, golden.output('y').data);
  }
}

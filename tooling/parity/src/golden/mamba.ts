import { MambaBlock, mambaModels, fromMambaConfig, type LanguageModelConfig, parameterCount } from '@mamba-ts/models';
import { S6 } from '@mamba-ts/ssm';
import { scope, silu } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';
import { permute } from '../scan/layout';
import { agreement, exactly, type GoldenCase, type GoldenChecker } from './golden-case';

/** Section 5 of the index, beyond the scan: the Mamba block, and sizes of models. */
export const mambaCheckers: readonly GoldenChecker[] = [
  { prefix: 'mamba_block_', check: checkBlock },
  { prefix: 'param_counts', check: checkCounts },
];

/** Names of weights in golden cases, and in checkpoints. */
const weightPaths: Readonly<Record<string, string>> = {
  in_W: 'in_proj.weight',
  conv_w: 'conv1d.weight',
  conv_b: 'conv1d.bias',
  x_W: 'x_proj.weight',
  dt_W: 'dt_proj.weight',
  dt_b: 'dt_proj.bias',
  A_log: 'A_log',
  D: 'D',
  out_W: 'out_proj.weight',
};

/** Settings that stand among the weights. */
const sizeNames = ['d_model', 'd_inner', 'N', 'dt_rank', 'd_conv'] as const;

/** A block with the weights of a golden case; to be made, and freed, in a scope. */
function blockOf(golden: GoldenCase, on: ParityDevice): { block: MambaBlock; layer: S6 } {
  const [dModel, dInner, dState, dtRank, dConv] = sizeNames.map((name) => golden.inputNumber('weights', name)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const layer = new S6({ dModel: dInner, dState, dtRank }, on.random);
  const block = new MambaBlock({ dModel, expand: dInner / dModel, dConv, layer: () => layer }, on.random);
  const parameters = block.stateDict();
  for (const name of golden.inputNames('weights')) {
    if (sizeNames.some((size) => size === name)) continue;
    const path = Object.hasOwn(weightPaths, name) ? weightPaths[name]! : '';
    const parameter = parameters.get(path);
    if (parameter === undefined) throw new Error(`the block has no weight ${name}`);
    parameter.write(golden.input('weights', name).data);
    parameters.delete(path);
  }
  const missing = [...parameters.keys()];
  if (missing.length > 0) throw new Error(`the golden case has no ${missing.join(', ')}`);
  return { block, layer };
}

/** One sequence through the block: at once, as a prompt, and step by step. */
function* checkBlock(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const input = golden.input('x');
  const [length, dModel] = input.shape as [number, number];
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const { found, stepped } = scope(() => {
      const { block, layer } = blockOf(golden, on);
      const sequence = { data: input.data, shape: [1, length, dModel] };
      const atOnce = evaluate(() => {
        const x = upload(on, sequence);
        const convolved = silu(block.conv1d.forward(block.in_proj.forward(x).slice(-1, 0, block.dInner)));
        const [prefilled, { conv, 'inner.ssm': ssm }] = block.prefill(x);
        const projected = layer.x_proj!.forward(convolved);
        return { convolved, projected, y: block.forward(x), prefilled, conv: conv!, ssm: ssm! };
      });
      return { found: atOnce, stepped: runSteps(block, on, sequence) };
    });
    yield agrees('silu(conv(x))', found.convolved, golden.output('after_conv_silu').data);
    yield agrees('x_proj', found.projected, golden.output('x_proj').data);
    const y = golden.output('y').data;
    yield agrees('y', found.y, y);
    yield agrees('y, prefilled', found.prefilled, y);
    yield agrees('y, stepped', stepped.y, y);
    const [before, last] = stepped.states.slice(-2);
    const { data, shape } = golden.output('final_conv_state');
    const window = permute(data, shape, [1, 0]).data;
    // The golden window is one sample longer than what the next step needs; that sample is in the state before.
    const oldest = before!['conv']!.subarray(0, shape[0]!);
    yield agrees('window', [...oldest, ...found.conv], window);
    yield agrees('window, stepped', [...oldest, ...last!['conv']!], window);
    const state = golden.output('final_ssm_state').data;
    yield agrees('ssm state', found.ssm, state);
    yield agrees('ssm state, stepped', last!['inner.ssm']!, state);
  }
}

/** The model of Mamba's tables 9 and 10: 350M parameters, GPT-2's vocabulary. */
const ablated: LanguageModelConfig = { vocabSize: 50257, dModel: 1024, nLayer: 48, block: 'mamba', layer: 's6' };

/** Numbers of parameters, from configs without any memory. Of the U-Nets no package has a model. */
function* checkCounts(golden: GoldenCase): Iterable<Result> {
  const count = (config: LanguageModelConfig, what: string, expected: number): Result =>
    exactly(golden, what, parameterCount(config), expected);
  for (const rank of golden.outputNames('table9_by_R')) {
    const layer = { kind: 's6', dtRank: Number(rank) } as const;
    yield count({ ...ablated, layer }, `rank ${rank} of Δ`, golden.outputNumber('table9_by_R', rank));
  }
  for (const size of golden.outputNames('table10_by_N')) {
    const expected = golden.outputNumber('table10_by_N', size);
    const layer = { kind: 's6', dState: Number(size) } as const;
    yield count({ ...ablated, layer }, `state of ${size}`, expected);
    const fixed = { B: false, C: false };
    yield count({ ...ablated, layer: { ...layer, selective: fixed } }, `state of ${size}, B and C fixed`, expected);
  }
  for (const name of golden.outputNames()) {
    const released = /^mamba_(\w+)_released$/.exec(name)?.[1];
    if (released !== undefined) {
      const config = mambaModels[`mamba-${released}`];
      if (config === undefined) throw new Error(`no released model is called mamba-${released}`);
      yield count(fromMambaConfig(config), name, golden.outputNumber(name));
    }
    const induction = /^induction_(\d+)x(\d+)_V(\d+)_(tied|untied)_R(\d+)$/.exec(name);
    if (induction !== null) {
      const [nLayer, dModel, vocabSize, dtRank] = [1, 2, 3, 5].map((group) => Number(induction[group]));
      const config: LanguageModelConfig = {
        nLayer: nLayer!,
        dModel: dModel!,
        vocabSize: vocabSize!,
        block: 'mamba',
        layer: { kind: 's6', dtRank: dtRank! },
        tieEmbeddings: induction[4] === 'tied',
      };
      yield count(config, name, golden.outputNumber(name));
    }
  }
}

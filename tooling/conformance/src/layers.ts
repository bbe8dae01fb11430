import { type BlockChoice, blocks, type Layer, type LayerChoice, layers, makeBlock, makeLayer } from '@mamba-ts/models';
import type { RandomGenerator } from '@mamba-ts/tensor';

/** Small settings of every kind of layer: the suite takes gradients by central differences. */
const layerChoices: readonly LayerChoice[] = [
  { kind: 's6', dState: 3, dtRank: 1 },
  { kind: 's6', dState: 4, dtRank: 1, aInit: 's4d-lin' },
  { kind: 's4d', dState: 4 },
  { kind: 's4', dState: 4 },
  { kind: 'h3', dState: 4 },
  { kind: 'hyena' },
  { kind: 'ssd', dState: 3, headDim: 2, chunkSize: 4 },
];

const blockChoices: readonly BlockChoice[] = ['plain', { kind: 'h3', headDim: 2, dState: 3 }, 'mamba', 'mamba2'];

/** Blocks that have no inner layer. */
const soloBlocks: readonly BlockChoice[] = [
  { kind: 'attention', headDim: 2, rotaryDim: 2, dConv: 3 },
  { kind: 'hyena' },
];

export interface NamedLayer {
  readonly name: string;
  readonly make: (random: RandomGenerator) => Layer;
}

const describeChoice = (choice: string | { readonly kind: string }): string =>
  typeof choice === 'string' ? choice : choice.kind + ('aInit' in choice ? ' (complex)' : '');

const dModel = 4;

function blockOf(block: BlockChoice, layer: LayerChoice, random: RandomGenerator): Layer {
  return makeBlock(block, {
    dModel,
    nLayer: 2,
    random,
    layer: (width, options) => makeLayer(layer, { ...options, width, blockWidth: dModel, random }),
  });
}

/** Every block around every layer, and the blocks without one. @throws Error if a kind is in no list */
export function combinations(): readonly NamedLayer[] {
  for (const [what, table, choices] of [
    ['layer', layers, layerChoices],
    ['block', blocks, [...blockChoices, ...soloBlocks]],
  ] as const) {
    const kinds = choices.map((choice) => (typeof choice === 'string' ? choice : choice.kind));
    const forgotten = Object.keys(table).filter((kind) => !(kinds as readonly string[]).includes(kind));
    if (forgotten.length > 0) throw new Error(`conformance: no ${what} of kind ${forgotten.join(', ')} is tested`);
  }
  const pairs = blockChoices.flatMap((block) => layerChoices.map((layer) => ({ block, layer })));
  return [
    ...pairs.map(({ block, layer }) => ({
      name: `${describeChoice(block)} block with ${describeChoice(layer)}`,
      make: (random: RandomGenerator) => blockOf(block, layer, random),
    })),
    ...soloBlocks.map((block) => ({
      name: `${describeChoice(block)} block`,
      make: (random: RandomGenerator) => blockOf(block, 's6', random),
    })),
  ];
}

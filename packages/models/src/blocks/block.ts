import type { Module } from '@mamba-ts/nn';
import type { SequenceLayer } from '@mamba-ts/ssm';

/**
 * A sequence layer with parameters. Blocks are layers too, of the model's width: they own projections and gates around
 * an inner layer.
 */
export type Layer = Module & SequenceLayer;

/** What a block offers its inner layer. */
export interface InnerLayerOptions {
  /** `block`: a layer that can take its Δ, B and C from the block (SSD) shall not project them itself. Default `layer`. */
  readonly projection?: 'layer' | 'block';
}

/** Makes the inner layer of a block, of the width that the block runs it at. */
export type InnerLayer = (width: number, options?: InnerLayerOptions) => Layer;

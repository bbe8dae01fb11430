import { formatShape, sameShape, ShapeError, type Tensor } from '@mamba-ts/tensor';
import type { LayerState, SequenceOptions, StepOptions } from './sequence-layer';

interface Layer {
  readonly dModel: number;
  initialState(batch: number): LayerState;
}

/** Refuses wrong shapes of `forward` and `prefill` by name, before an inner op does it under another. */
export function checkInput(name: string, layer: Layer, x: Tensor, options: SequenceOptions, state?: LayerState): void {
  const [batch, length, width] = x.shape;
  if (x.shape.length !== 3 || width !== layer.dModel || length < 1) {
    throw new ShapeError(
      `${name}: x has shape ${formatShape(x.shape)}, expected (batch, length >= 1, dModel ${layer.dModel})`,
    );
  }
  expect(name, 'gate', options.gate, x.shape, '(batch, length, dModel)');
  expect(name, 'resets', options.resets, [batch, length], '(batch, length)');
  if (state) checkState(name, layer, batch, state);
}

/** As `checkInput`, for `step`. */
export function checkStep(name: string, layer: Layer, x: Tensor, options: StepOptions, state: LayerState): void {
  checkHistoryStep(name, layer, x, options);
  checkState(name, layer, x.shape[0], state);
}

/** As `checkStep`, for layers whose state has no shape of its own. */
export function checkHistoryStep(name: string, layer: Layer, x: Tensor, options: StepOptions): void {
  if (x.shape.length !== 2 || x.shape[1] !== layer.dModel) {
    throw new ShapeError(`${name}: x has shape ${formatShape(x.shape)}, expected (batch, dModel ${layer.dModel})`);
  }
  expect(name, 'gate', options.gate, x.shape, '(batch, dModel)');
}

function expect(
  name: string,
  argument: string,
  value: Tensor | undefined,
  shape: readonly number[],
  meaning: string,
): void {
  if (value && !sameShape(value.shape, shape)) {
    throw new ShapeError(
      `${name}: ${argument} has shape ${formatShape(value.shape)}, expected ${meaning} = ${formatShape(shape)}`,
    );
  }
}

function checkState(name: string, layer: Layer, batch: number, state: LayerState): void {
  const expected = layer.initialState(batch);
  for (const [part, like] of Object.entries(expected)) {
    const value = state[part];
    if (!value)
      throw new ShapeError(`${name}: state has no ${part}, expected ${part} of shape ${formatShape(like.shape)}`);
    expect(name, `state.${part}`, value, like.shape, 'the shape of initialState');
    like.dispose();
  }
}

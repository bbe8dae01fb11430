import { RandomGenerator, type Shape } from '@mamba-ts/tensor';
import { LanguageModel, type LanguageModelConfig } from './language-model';
import { shapeDevice } from './shape-device';

/** Trainable parameters of a config by path (tied weights once), in the order of the model; no memory is allocated. */
export function parameterShapes(config: LanguageModelConfig): Map<string, Shape> {
  const device = shapeDevice();
  const random = new RandomGenerator(0, device);
  const model = new LanguageModel(config, random);
  const shapes = new Map([...model.parameters()].map(([path, v]) => [path, v.shape]));
  model.dispose();
  random.dispose();
  device.dispose();
  return shapes;
}

/** Number of trainable scalars of a config; no memory is allocated. */
export function parameterCount(config: LanguageModelConfig): number {
  let count = 0;
  for (const shape of parameterShapes(config).values()) count += shape.reduce((product, size) => product * size, 1);
  return count;
}

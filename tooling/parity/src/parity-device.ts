import { cpu, type Device, RandomGenerator, realize, reference, scope, type Tensor, tensor } from '@mamba-ts/tensor';
import type { Values } from './fixture-case';

/** A device that the packages' layers are checked on. */
export interface ParityDevice {
  /** As in the report: `float64`, `cpu`. */
  readonly name: string;
  /** Whether it computes in float64. */
  readonly exact: boolean;
  readonly device: Device;
  /** Initialises modules whose parameters are then overwritten. */
  readonly random: RandomGenerator;
}

/** Runs `use` with the float64 reference device and the CPU, float32 on one thread. */
export async function* onDevices<T>(
  use: (devices: readonly ParityDevice[]) => Iterable<T> | AsyncIterable<T>,
): AsyncIterable<T> {
  const made: ParityDevice[] = [];
  try {
    for (const [name, exact, create] of kinds) {
      const device = await create();
      made.push({ name, exact, device, random: new RandomGenerator(0, device) });
    }
    yield* use(made);
  } finally {
    for (const { device, random } of made) {
      random.dispose();
      device.dispose();
    }
  }
}

const kinds: readonly (readonly [string, boolean, () => Promise<Device>])[] = [
  ['float64', true, reference],
  ['cpu', false, () => cpu({ threads: 1 })],
];

/** Numbers of a golden case or a fixture as a tensor, in another shape where one is given. */
export function upload(
  { device }: ParityDevice,
  { data, shape }: Pick<Values, 'data' | 'shape'>,
  ...as: readonly number[]
): Tensor {
  return tensor(data, { shape: as.length > 0 ? as : shape, device });
}

/** Whole numbers as an int32 tensor. */
export function uploadIntegers(on: ParityDevice, { data, shape }: Pick<Values, 'data' | 'shape'>): Tensor {
  return tensor(Int32Array.from(data), { shape, device: on.device });
}

/** The values of all results of `body`, computed in one program; every tensor and module made in it is freed. */
export function evaluate<Name extends string>(body: () => Record<Name, Tensor>): Record<Name, Float64Array> {
  return scope(() => {
    const entries = Object.entries<Tensor>(body());
    realize(...entries.map(([, result]) => result));
    return Object.fromEntries(entries.map(([name, result]) => [name, Float64Array.from(result.dataSync())]));
  }) as Record<Name, Float64Array>;
}

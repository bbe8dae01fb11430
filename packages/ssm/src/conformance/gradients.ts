import { compile, grad, reference, type Tensor, type Variable, variable } from '@mamba-ts/tensor';
import type { LayerState } from '../sequence-layer';
import { check, expectNear, randomSource } from './assertions';
import { type LayerFactory, type SavedState, Subject, type Test } from './subject';

/** One way to run a layer. */
interface Form {
  readonly name: string;
  readonly gate: boolean;
  readonly resets: boolean;
  readonly state: boolean;
}

const batch = 2;
const length = 5;

/** What a loss depends on beside the parameters: `x`, `gate` and `state.…`. */
type Leaves = ReadonlyMap<string, Tensor>;

/** Parameters and leaves on the host. */
interface Point {
  readonly parameters: ReadonlyMap<string, Float64Array>;
  readonly leaves: SavedState;
}

/**
 * Gradients of the parameters, the input, the gate and the initial state: on the reference device against central
 * differences, elsewhere against the reference device.
 */
export function testGradients(
  test: Test,
  factory: LayerFactory,
  options: { resets: boolean; gradientTolerance: number },
): void {
  const forms: Form[] = [
    { name: 'forward', gate: false, resets: false, state: false },
    { name: 'prefill from a state, gated', gate: true, resets: false, state: true },
  ];
  if (options.resets) {
    forms.push(
      { name: 'forward with resets', gate: false, resets: true, state: false },
      { name: 'prefill from a state with resets, gated', gate: true, resets: true, state: true },
    );
  }
  for (const form of forms) {
    test(`gradients of ${form.name}`, async (subject) => {
      const point = await makePoint(subject, form);
      const actual = await gradients(subject, form, point);
      if (subject.device.name === 'reference') return checkDifferences(subject, form, point, actual);
      const exact = await reference();
      const oracle = new Subject(exact, factory, subject.tolerance);
      oracle.setParameters(point.parameters);
      const exactGradients = await gradients(oracle, form, point);
      // What all but vanishes beside the others comes of products at the edge of float32's range, which devices flush to zero.
      const least = 1e-9 * Math.hypot(...[...exactGradients.values()].map((g) => Math.hypot(...g)));
      for (const [name, g] of exactGradients) {
        expectNear(`gradient of ${name}`, actual.get(name) as Float64Array, g, options.gradientTolerance, least);
      }
      oracle.dispose();
      exact.dispose();
    });
  }
}

async function makePoint(s: Subject, form: Form): Promise<Point> {
  const leaves = await s.saveState(() => {
    const sequence = (samples: number): Tensor => s.values(batch, samples, s.dModel);
    const state = form.state ? s.layer.prefill(sequence(3))[1] : {};
    return {
      x: sequence(length),
      ...(form.gate ? { gate: sequence(length) } : {}),
      ...Object.fromEntries(Object.entries(state).map(([name, t]) => [`state.${name}`, t])),
    };
  });
  return { parameters: await s.parameterValues(), leaves };
}

/** A number that depends on every output, and on the state that comes out, each with a weight of its own. */
function loss(s: Subject, form: Form, leaves: Leaves): Tensor {
  // The second row keeps the state that came in; both have a boundary inside.
  const resets = form.resets ? s.upload([batch, length], [1, 0, 0, 1, 0, 0, 0, 1, 0, 0]).cast('int32') : undefined;
  const random = randomSource(7);
  const weighted = (y: Tensor): Tensor => {
    const weights = Array.from({ length: y.size }, () => random() + 0.5);
    return y.mul(s.upload(y.shape, weights)).sum();
  };
  const x = leaves.get('x') as Tensor;
  const gate = leaves.get('gate');
  if (!form.state) return weighted(s.layer.forward(x, { gate, resets }));
  const state: Record<string, Tensor> = {};
  for (const [name, t] of leaves) if (name.startsWith('state.')) state[name.slice('state.'.length)] = t;
  const [y, last]: [Tensor, LayerState] = s.layer.prefill(x, state, { gate, resets });
  return Object.values(last).reduce((sum, t) => sum.add(weighted(t)), weighted(y));
}

async function gradients(s: Subject, form: Form, point: Point): Promise<Map<string, Float64Array>> {
  const names: string[] = [];
  const values = await s.run(() => {
    const leaves = new Map(Object.entries(s.restoreState(point.leaves)));
    const wrt = new Map<string, Tensor>([...s.layer.parameters(), ...leaves]);
    names.push(...wrt.keys());
    return grad(loss(s, form, leaves), [...wrt.values()], { allowUnused: true });
  });
  return new Map(names.map((name, i) => [name, values[i]]));
}

/** (loss(p + hd) − loss(p − hd)) / 2h = gradient · d, for random directions d and single elements of every tensor. */
async function checkDifferences(
  s: Subject,
  form: Form,
  point: Point,
  analytic: ReadonlyMap<string, Float64Array>,
): Promise<void> {
  const h = 1e-5;
  const random = randomSource(11);
  const leaves = new Map<string, Variable>();
  for (const [name, t] of Object.entries(s.restoreState(point.leaves))) {
    leaves.set(name, variable(t));
    t.dispose();
  }
  const places = new Map([...s.layer.stateDict(), ...leaves]);
  // Compiled, since it is run often.
  const value = compile(() => loss(s, form, leaves));
  const lossAt = async (place: Variable, at: Float64Array, d: Float64Array, step: number): Promise<number> => {
    place.write(at.map((v, i) => v + step * d[i]));
    return value().item();
  };
  for (const [name, g] of analytic) {
    const place = places.get(name) as Variable;
    const at = Float64Array.from(point.parameters.get(name) ?? point.leaves[name].values);
    const size = Math.hypot(...g) / Math.sqrt(g.length);
    for (let i = 0; i < (at.length === 0 ? 0 : 5); i++) {
      const element = Math.floor(random() * at.length);
      const d = Float64Array.from(at, (_, j) => (i < 2 ? 2 * random() - 1 : Number(j === element)));
      const numeric = ((await lossAt(place, at, d, h)) - (await lossAt(place, at, d, -h))) / (2 * h);
      const exact = g.reduce((sum, v, j) => sum + v * d[j], 0);
      const close = Math.abs(numeric - exact) <= 1e-6 * (Math.abs(exact) + size) + 1e-8;
      check(close, `gradient of ${name}: ${exact}, central difference ${numeric}`);
    }
    place.write(at);
  }
  value.dispose();
  for (const v of leaves.values()) v.dispose();
}

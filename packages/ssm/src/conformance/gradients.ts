import { grad, reference, type Tensor } from '@mamba-ts/tensor';
import { randomSource, relativeError } from '@mamba-ts/tensor/conformance';
import { describe, expect, it } from 'vitest';
import { type LayerFactory, type SavedState, Subject } from './subject';

/** One way to run a layer; its result is a number that depends on every output, and on the state that comes out. */
interface Form {
  readonly name: string;
  readonly gate: boolean;
  readonly resets: boolean;
  readonly state: boolean;
}

const batch = 2;
const length = 5;

/** Everything that the loss depends on, on the host. */
interface Point {
  readonly parameters: Map<string, Float64Array>;
  readonly x: Float64Array;
  readonly gate: Float64Array;
  readonly state: SavedState;
}

/** Gradients of the parameters, the input, the gate and the initial state. */
export function testGradients(device: () => Subject, factory: LayerFactory, options: { resets: boolean; gradientTolerance: number }): void {
  const forms: Form[] = [
    { name: 'forward', gate: false, resets: false, state: false },
    { name: 'prefill from a state, gated', gate: true, resets: false, state: true },
  ];
  if (options.resets) {
    forms.push({ name: 'forward with resets', gate: false, resets: true, state: false }, { name: 'prefill from a state with resets, gated', gate: true, resets: true, state: true });
  }
  describe.each(forms)('gradients of $name', (form) => {
    it('agree with central differences, or with the reference device', async () => {
      const subject = device();
      const oracleDevice = subject.device.name === 'reference' ? subject.device : await reference();
      const oracle = oracleDevice === subject.device ? subject : new Subject(oracleDevice, factory, subject.tolerance);
      await subject.keepsMemory(async () => {
        const point = await makePoint(subject);
        oracle.setParameters(point.parameters);
        const expected = await gradients(oracle, form, point);
        if (oracle === subject) return checkDifferences(subject, form, point, expected);
        const actual = await gradients(subject, form, point);
        for (const [name, g] of expected) {
          expect(relativeError(actual.get(name) as Float64Array, g), `gradient of ${name}`).toBeLessThan(options.gradientTolerance);
        }
      });
      if (oracle !== subject) oracle.dispose();
      if (oracleDevice !== subject.device) oracleDevice.dispose();
    });
  });
}

async function makePoint(s: Subject): Promise<Point> {
  const [x, gate, before] = await s.run(() => [s.values(batch, length, s.dModel), s.values(batch, length, s.dModel), s.values(batch, 3, s.dModel)]);
  const state = await s.saveState(() => s.layer.prefill(s.upload([batch, 3, s.dModel], before))[1]);
  return { parameters: await s.parameterValues(), x, gate, state };
}

/** Tensors of the point, and the loss. */
function loss(s: Subject, form: Form, point: Point): { loss: Tensor; leaves: Map<string, Tensor> } {
  const shape = [batch, length, s.dModel];
  const leaves = new Map<string, Tensor>([['x', s.upload(shape, point.x)]]);
  if (form.gate) leaves.set('gate', s.upload(shape, point.gate));
  const state = form.state ? s.restoreState(point.state) : undefined;
  for (const [name, t] of Object.entries(state ?? {})) leaves.set(`state.${name}`, t);
  // The second row keeps the state that came in; both have a boundary inside.
  const flags = form.resets ? s.upload([batch, length], [1, 0, 0, 1, 0, 0, 0, 1, 0, 0]).cast('int32') : undefined;
  const random = randomSource(7);
  const weighted = (y: Tensor): Tensor => y.mul(s.upload(y.shape, Float64Array.from({ length: y.size }, () => random() + 0.5))).sum();
  const x = leaves.get('x') as Tensor;
  if (!form.state) return { loss: weighted(s.layer.forward(x, { gate: leaves.get('gate'), resets: flags })), leaves };
  const [y, last] = s.layer.prefill(x, state, { gate: leaves.get('gate'), resets: flags });
  return { loss: Object.values(last).reduce((sum, t) => sum.add(weighted(t)), weighted(y)), leaves };
}

async function gradients(s: Subject, form: Form, point: Point): Promise<Map<string, Float64Array>> {
  const names: string[] = [];
  const values = await s.run(() => {
    const { loss: value, leaves } = loss(s, form, point);
    const wrt = new Map<string, Tensor>([...s.layer.parameters(), ...leaves]);
    names.push(...wrt.keys());
    return grad(value, [...wrt.values()], { allowUnused: true });
  });
  return new Map(names.map((name, i) => [name, values[i]]));
}

/** (loss(p + hd) − loss(p − hd)) / 2h = gradient · d, for some random directions d and some single elements of every tensor. */
async function checkDifferences(s: Subject, form: Form, point: Point, analytic: ReadonlyMap<string, Float64Array>): Promise<void> {
  const h = 1e-5;
  const random = randomSource(11);
  const arrays = new Map<string, Float64Array>([...point.parameters, ['x', point.x], ['gate', point.gate]]);
  for (const [name, part] of Object.entries(point.state)) arrays.set(`state.${name}`, Float64Array.from(part.values));
  const value = async (name: string, moved: Float64Array): Promise<number> => {
    const parameters = new Map(point.parameters);
    if (parameters.has(name)) parameters.set(name, moved);
    const state = Object.fromEntries(Object.entries(point.state).map(([n, p]) => [n, { ...p, values: `state.${n}` === name ? moved : p.values }]));
    s.setParameters(parameters);
    const [[v]] = await s.run(() => loss(s, form, { parameters, x: name === 'x' ? moved : point.x, gate: name === 'gate' ? moved : point.gate, state }).loss.reshape(1));
    return v;
  };
  for (const [name, g] of analytic) {
    const at = arrays.get(name) as Float64Array;
    if (at.length === 0) continue;
    const size = Math.hypot(...g) / Math.sqrt(g.length);
    const single = (): Float64Array => {
      const d = new Float64Array(at.length);
      d[Math.floor(random() * at.length)] = 1;
      return d;
    };
    const directions = [0, 1, 2, 3, 4].map((i) => (i < 2 ? Float64Array.from(at, () => 2 * random() - 1) : single()));
    for (const d of directions) {
      const numeric = ((await value(name, at.map((v, i) => v + h * d[i]))) - (await value(name, at.map((v, i) => v - h * d[i])))) / (2 * h);
      const exact = g.reduce((sum, v, i) => sum + v * d[i], 0);
      const allowed = 1e-6 * (Math.abs(exact) + size) + 1e-8;
      expect(Math.abs(numeric - exact) <= allowed, `gradient of ${name}: ${exact}, central difference ${numeric}`).toBe(true);
    }
  }
  s.setParameters(point.parameters);
}

import { concat, silu, tensor, type Tensor } from '@mamba-ts/tensor';
import { check, expectSame } from './assertions';
import type { Subject, Test } from './subject';

const lengths = [1, 2, 7, 16, 21];

/**
 * What every causal sequence layer promises of its three forms: `forward`, `prefill` and `step` compute the same
 * function.
 */
export function testSequences(test: Test): void {
  test('keeps shapes, from length 1', async (s) => {
    for (const length of lengths) {
      const shapes: (readonly number[])[] = [];
      await s.run(() => {
        const x = s.values(2, length, s.dModel);
        const [y, state] = s.layer.prefill(x);
        const [stepped, next] = s.layer.step(s.values(2, s.dModel), state);
        shapes.push(s.layer.forward(x).shape, y.shape, stepped.shape);
        for (const part of [state, next, s.layer.initialState(2)])
          for (const t of Object.values(part)) expectSame('first axis of a state', t.shape[0], 2);
        if (s.layer.constantState) {
          const like = Object.entries(s.layer.initialState(2)).map(([name, t]) => [name, t.shape]);
          for (const [what, part] of Object.entries({ prefill: state, step: next })) {
            const shapesOf = Object.entries(part).map(([name, t]) => [name, t.shape]);
            expectSame(`state of ${what}`, shapesOf, like);
          }
        }
        return [y, stepped];
      });
      const whole = [2, length, s.dModel];
      expectSame('shapes of forward, prefill and step', shapes, [whole, whole, [2, s.dModel]]);
    }
  });

  test('prefill and steps equal forward', async (s) => {
    for (const length of lengths) {
      await s.expectEqual(`prefill, length ${length}`, () => {
        const x = s.values(2, length, s.dModel);
        return [s.layer.prefill(x)[0], s.layer.forward(x)];
      });
    }
    // More steps than these are in the long runs.
    for (const length of [1, 5]) {
      await s.expectEqual(`steps, length ${length}`, () => {
        const x = s.values(2, length, s.dModel);
        return [concat(s.steps(x, s.layer.initialState(2))[0], 1), s.layer.forward(x)];
      });
    }
  });

  test('prefill of any prefix, then steps, equals forward', async (s) => {
    for (const prefix of [1, 6]) {
      await s.expectEqual(`prefix of ${prefix}`, () => {
        const x = s.values(2, 9, s.dModel);
        const [start, state] = s.layer.prefill(x.slice(1, 0, prefix));
        return [concat([start, ...s.steps(x.slice(1, prefix), state)[0]], 1), s.layer.forward(x)];
      });
    }
  });

  test('prefill in chunks equals forward', async (s) => {
    for (let round = 0; round < 4; round++) {
      const length = 5 + Math.floor(s.uniform() * 25);
      await s.expectEqual(`length ${length}`, () => {
        const x = s.values(2, length, s.dModel);
        const parts: Tensor[] = [];
        let state = round % 2 === 0 ? undefined : s.layer.initialState(2);
        for (let at = 0; at < length;) {
          const end = Math.min(length, at + 1 + Math.floor(s.uniform() * 9));
          const [y, next] = s.layer.prefill(x.slice(1, at, end), state);
          parts.push(y);
          state = next;
          at = end;
        }
        return [concat(parts, 1), s.layer.forward(x)];
      });
    }
  });

  test('forward of a prefix is the prefix of forward', async (s) => {
    for (const prefix of [1, 2, 8, 19]) {
      await s.expectEqual(`prefix of ${prefix}`, () => {
        const x = s.values(2, 21, s.dModel);
        return [s.layer.forward(x.slice(1, 0, prefix)), s.layer.forward(x).slice(1, 0, prefix)];
      });
    }
  });

  test('looks at nothing later: a change at t leaves all before it', async (s) => {
    const length = 17;
    for (const t of [1, 8, 16]) {
      const [before, after] = await s.run(() => {
        const x = s.values(1, length, s.dModel);
        const bump = s
          .values(1, 1, s.dModel)
          .mul(3)
          .pad(1, t, length - 1 - t);
        return [s.layer.forward(x), s.layer.forward(x.add(bump))];
      });
      const cut = t * s.dModel;
      const size = Math.max(...before.map(Math.abs));
      for (let i = 0; i < cut; i++) {
        // A Fourier transform may move the last bits.
        const still = Math.abs(after[i] - before[i]) <= s.tolerance * 0.1 * size;
        check(still, `a change at ${t} moves sample ${Math.floor(i / s.dModel)}`);
      }
      const answers = after.slice(cut, cut + s.dModel).some((v, i) => v !== before[cut + i]);
      check(answers, `a change at ${t} does not move sample ${t}`);
    }
  });

  test('sequences of a batch do not meet', async (s) => {
    for (const row of [0, 1, 2]) {
      await s.expectEqual(`forward, row ${row}`, () => {
        const x = s.values(3, 9, s.dModel);
        return [s.layer.forward(x).slice(0, row, row + 1), s.layer.forward(x.slice(0, row, row + 1))];
      });
      await s.expectEqual(`step, row ${row}`, () => {
        const x = s.values(3, 9, s.dModel);
        const last = s.values(3, s.dModel);
        const all = s.layer.step(last, s.layer.prefill(x)[1])[0];
        return [
          all.slice(0, row, row + 1),
          s.layer.step(last.slice(0, row, row + 1), s.layer.prefill(x.slice(0, row, row + 1))[1])[0],
        ];
      });
    }
  });

  test('a gate multiplies the output by silu(gate)', async (s) => {
    await s.expectEqual('forward', () => {
      const [x, gate] = [s.values(2, 9, s.dModel), s.values(2, 9, s.dModel)];
      return [s.layer.forward(x, { gate }), s.layer.forward(x).mul(silu(gate))];
    });
    await s.expectEqual('prefill, its state and step', () => {
      const [x, gate] = [s.values(2, 9, s.dModel), s.values(2, 9, s.dModel)];
      const [y, state] = s.layer.prefill(x.slice(1, 0, 4), undefined, { gate: gate.slice(1, 0, 4) });
      return [
        concat([y, ...s.steps(x.slice(1, 4), state, gate.slice(1, 4))[0]], 1),
        s.layer.forward(x).mul(silu(gate)),
      ];
    });
  });
}

/** Packed sequences: what `resets` promise. */
export function testResets(test: Test): void {
  // Two rows with boundaries of their own: at the start, side by side, at the end, and none.
  const starts = [
    [0, 3, 4, 11],
    [6, 12],
  ];
  const length = 13;
  const resets = (s: Subject): Tensor => {
    const flags = new Int32Array(2 * length);
    starts.forEach((row, b) => row.forEach((t) => (flags[b * length + t] = 1)));
    return tensor(flags, { shape: [2, length], device: s.device });
  };
  const segments = (row: number): [number, number][] => {
    const cuts = [...new Set([0, ...starts[row], length])];
    return cuts.slice(1).map((end, i) => [cuts[i], end]);
  };

  test('resets run packed sequences apart', async (s) => {
    for (const row of [0, 1]) {
      await s.expectEqual(`forward, row ${row}`, () => {
        const [x, gate] = [s.values(2, length, s.dModel), s.values(2, length, s.dModel)];
        const packed = s.layer.forward(x, { resets: resets(s), gate }).slice(0, row, row + 1);
        const alone = segments(row).map(([a, b]) => s.layer.forward(x.slice(0, row, row + 1).slice(1, a, b)));
        return [packed, concat(alone, 1).mul(silu(gate.slice(0, row, row + 1)))];
      });
    }
  });

  test('resets drop the state that came in, and the state that goes out is of the last sequence', async (s) => {
    for (const row of [0, 1]) {
      await s.expectEqual(`prefill, row ${row}`, () => {
        const one = (x: Tensor): Tensor => x.slice(0, row, row + 1);
        const [before, x, after] = [s.values(2, 5, s.dModel), s.values(2, length, s.dModel), s.values(2, s.dModel)];
        const [y, state] = s.layer.prefill(x, s.layer.prefill(before)[1], { resets: resets(s) });
        const packed = concat([y, s.layer.step(after, state)[0].unsqueeze(1)], 1);
        const own = s.layer.prefill(one(before))[1];
        const parts: Tensor[] = [];
        let last = own;
        for (const [a, b] of segments(row)) {
          const [part, next] = s.layer.prefill(
            one(x).slice(1, a, b),
            a === 0 && starts[row][0] !== 0 ? own : undefined,
          );
          parts.push(part);
          last = next;
        }
        return [one(packed), concat([...parts, s.layer.step(one(after), last)[0].unsqueeze(1)], 1)];
      });
    }
  });
}

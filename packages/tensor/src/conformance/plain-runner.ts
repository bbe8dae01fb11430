import type { TestRunner } from './runner';

/*
 * The suites without a test framework: for machines that have Node and the built packages and nothing else, e.g. one with a GPU. Has what the
 * suites use of vitest's functions, no more.
 */

/** What a plain run came to. */
export interface PlainResult {
  readonly passed: number;
  /** Full name and error of each failure. */
  readonly failed: readonly { readonly name: string; readonly error: string }[];
}

export interface PlainOptions {
  /** Leaves out tests whose full name does not contain it. */
  readonly only?: string;
  /** Of what is left, every `count`th test from number `index` (from 0): for several processes side by side. Default: all. */
  readonly shard?: { readonly index: number; readonly count: number };
  readonly log?: (line: string) => void;
}

export interface PlainRunner {
  /** Hand this to a suite. */
  readonly runner: TestRunner;
  /** Runs the tests that suites have registered since, one after the other. */
  run(options?: PlainOptions): Promise<PlainResult>;
}

type Body = () => void | Promise<void>;

interface Group {
  readonly name: string;
  readonly before: Body[];
  readonly after: Body[];
  readonly children: (Group | { readonly name: string; readonly test: Body })[];
}

export function plainRunner(): PlainRunner {
  const root: Group = { name: '', before: [], after: [], children: [] };
  let current = root;
  const describe = (name: string, body: () => void): void => {
    const group: Group = { name, before: [], after: [], children: [] };
    current.children.push(group);
    const outer = current;
    current = group;
    body();
    current = outer;
  };
  const runner = {
    describe,
    it: (name: string, test: Body) => void current.children.push({ name, test }),
    beforeAll: (body: Body) => void current.before.push(body),
    afterAll: (body: Body) => void current.after.push(body),
    expect: Object.assign((value: unknown, message?: string) => expectation(value, message), {
      fail: (message: string): never => {
        throw new Error(message);
      },
    }),
  };
  return {
    runner: runner as unknown as TestRunner,
    async run({ only = '', shard = { index: 0, count: 1 }, log = () => undefined } = {}) {
      let passed = 0;
      let seen = 0;
      /** The tests of this run, and the groups that have any. */
      const chosen = (group: Group, prefix: string): Group => ({
        ...group,
        children: group.children.flatMap((child): Group['children'] => {
          const name = prefix + child.name;
          if ('test' in child) return name.includes(only) && seen++ % shard.count === shard.index ? [child] : [];
          const part = chosen(child, `${name} > `);
          return part.children.length > 0 ? [part] : [];
        }),
      });
      const failed: { name: string; error: string }[] = [];
      const attempt = async (name: string, body: Body): Promise<boolean> => {
        try {
          await body();
          return true;
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          failed.push({ name, error: text });
          log(`FAILED ${name}\n       ${text}`);
          return false;
        }
      };
      const visit = async (group: Group, prefix: string): Promise<void> => {
        for (const body of group.before) await attempt(`${prefix}before all`, body);
        for (const child of group.children) {
          const name = prefix + child.name;
          if (!('test' in child)) await visit(child, `${name} > `);
          else if (await attempt(name, child.test)) passed++;
        }
        for (const body of group.after) await attempt(`${prefix}after all`, body);
      };
      await visit(chosen(root, ''), '');
      return { passed, failed };
    },
  };
}

function expectation(value: unknown, message?: string): unknown {
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`${message ? `${message}: ` : ''}${what}`);
  };
  const matchers = (negated: boolean) => {
    const say = (holds: boolean, what: string): void => check(holds !== negated, `expected ${show(value)} ${negated ? 'not ' : ''}${what}`);
    return {
      toBe: (other: unknown) => say(Object.is(value, other), `to be ${show(other)}`),
      toEqual: (other: unknown) => say(equal(value, other), `to equal ${show(other)}`),
      toBeLessThan: (limit: number) => say((value as number) < limit, `to be less than ${limit}`),
      toBeGreaterThan: (limit: number) => say((value as number) > limit, `to be greater than ${limit}`),
      toBeCloseTo: (other: number, digits = 2) => say(Math.abs((value as number) - other) < 10 ** -digits / 2, `to be close to ${other}`),
      toContain: (part: unknown) => say((value as readonly unknown[] | string).includes(part as never), `to contain ${show(part)}`),
      toThrow: (wanted?: unknown) => {
        let thrown: unknown = nothing;
        try {
          (value as () => unknown)();
        } catch (error) {
          thrown = error;
        }
        check((thrown !== nothing && fits(thrown, wanted)) !== negated, `expected ${negated ? 'no ' : ''}error ${show(wanted)}, got ${thrown === nothing ? 'none' : show(thrown)}`);
      },
    };
  };
  return {
    ...matchers(false),
    not: matchers(true),
    rejects: {
      toThrow: async (wanted?: unknown) => {
        const thrown: unknown = await (value as Promise<unknown>).then(() => nothing, (error: unknown) => error);
        check(thrown !== nothing && fits(thrown, wanted), `expected error ${show(wanted)}, got ${thrown === nothing ? 'none' : show(thrown)}`);
      },
    },
  };
}

const nothing = Symbol('nothing thrown');

/** Is this the error that a test names: by class, by message or part of it, by pattern? */
function fits(thrown: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  if (typeof wanted === 'function') return thrown instanceof (wanted as new () => Error);
  if (wanted instanceof RegExp) return wanted.test(text);
  return wanted instanceof Error ? text === wanted.message : text.includes(String(wanted));
}

/** Same structure and values; NaN equals NaN, 0 does not equal -0, typed arrays equal those of the same type only. */
function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = (x: object): string[] => Object.keys(x).filter((k) => (x as Record<string, unknown>)[k] !== undefined);
  const own = keys(a);
  return own.length === keys(b).length && own.every((k) => equal((a as Record<string, unknown>)[k], (b as Record<string, unknown>)[k]));
}

function show(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === 'function') return value.name || 'a function';
  if (value instanceof RegExp || typeof value !== 'object') return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

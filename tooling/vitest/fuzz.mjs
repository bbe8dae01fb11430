// Mutation tests of readers of untrusted files.

/** mulberry32 */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const oddNumbers = [0, 1, -1, 0.5, 2, 3, 4, 7, 16, 255, 256, 65536, 1e9, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 31), 1e308, 5e-324];
const oddTexts = ['', ' ', 'x', '__proto__', 'constructor', 'toString', '\u0000', '\ud800', '😀', 'a'.repeat(300)];
const oddValues = [null, true, false, [], {}, [[]], [null], { x: 1 }, ...oddNumbers, ...oddTexts];
const oddTokens = ['0', '-1', '1e999', '-0', '00', '18446744073709551616', 'NaN', 'null', 'true', '[]', '{}', '[[[[', '"', '\\', ',', ':', '}', ']', '/*', '"\\ud800"', '"__proto__"'];

export class Mutator {
  constructor(seed) {
    this.random = seededRandom(seed);
  }

  below(limit) {
    return Math.floor(this.random() * limit);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  bytes(seed) {
    let bytes = seed.slice();
    for (let changes = 1 + this.below(3); changes > 0; changes--) {
      const at = this.below(bytes.length);
      const kind = this.below(7);
      if (bytes.length === 0) bytes = Uint8Array.of(this.below(256));
      else if (kind === 0) bytes[at] ^= 1 << this.below(8);
      else if (kind === 1) bytes[at] = this.below(256);
      else if (kind === 2) bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1 + this.below(9))]);
      else if (kind === 3) bytes = Uint8Array.from([...bytes.subarray(0, at), this.below(256), ...bytes.subarray(at)]);
      else if (kind === 4) bytes = Uint8Array.from([...bytes.subarray(0, at + this.below(9)), ...bytes.subarray(at)]);
      else if (kind === 5) bytes.set(this.pick([[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 128], [255, 255, 255, 127], [1, 0, 0, 0]]).slice(0, bytes.length - at), at);
      else if (this.below(4) === 0) bytes = bytes.slice(0, at);
    }
    return bytes;
  }

  jsonText(text) {
    if (this.below(4) === 0) return new TextDecoder().decode(this.bytes(new TextEncoder().encode(text)));
    const tokens = text.match(/"(?:[^"\\]|\\.)*"|-?[\d.eE+-]+|[{}[\],:]|\w+|\s+/g) ?? [];
    for (let changes = 1 + this.below(3); changes > 0 && tokens.length > 0; changes--) {
      const at = this.below(tokens.length);
      const kind = this.below(5);
      if (kind === 0) tokens[at] = this.pick(oddTokens);
      else if (kind === 1) tokens.splice(at, 1);
      else if (kind === 2) tokens.splice(at, 0, this.pick(tokens));
      else if (kind === 3) tokens.splice(at, 0, ...tokens.slice(at, at + 1 + this.below(12)));
      else tokens[at] = this.pick(tokens);
    }
    return tokens.join('');
  }

  json(value, values = []) {
    const root = { value: structuredClone(value) };
    for (let changes = 1 + this.below(3); changes > 0; changes--) {
      // Walks down to some place.
      let [holder, key] = [root, 'value'];
      while (typeof holder[key] === 'object' && holder[key] !== null && this.random() < 0.8) {
        const keys = Object.keys(holder[key]);
        if (keys.length === 0) break;
        [holder, key] = [holder[key], this.pick(keys)];
      }
      const kind = this.below(8);
      const here = holder[key];
      if (kind === 0 && holder !== root) {
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
      } else if (kind === 1) holder[key] = structuredClone(this.pick(Object.values(holder)));
      else if (kind === 2 && values.length > 0) holder[key] = structuredClone(this.pick(values));
      else if (kind === 3 && typeof here === 'number') holder[key] = this.pick([here + 1, here - 1, -here, here / 2, here * 2, String(here)]);
      else if (kind === 4 && typeof here === 'string') holder[key] = this.pick([here + here, here.slice(1), here.toUpperCase(), `${here} `, [here]]);
      else if (kind === 5 && Array.isArray(here)) here.splice(this.below(here.length + 1), 0, structuredClone(here.length > 0 ? this.pick(here) : this.pick(oddValues)));
      else if (kind === 6 && typeof here === 'object' && here !== null && !Array.isArray(here)) {
        const name = this.pick([...oddTexts, ...Object.keys(here).map((k) => `${k}_`)]);
        Object.defineProperty(here, name, { value: this.pick(oddValues), enumerable: true, configurable: true, writable: true });
      } else holder[key] = structuredClone(this.pick(oddValues));
    }
    return root.value;
  }
}

function showInput(input) {
  return input instanceof Uint8Array ? Buffer.from(input).toString('base64') : typeof input === 'string' ? input : JSON.stringify(input);
}

export async function fuzz({ count, input, read, typed, show = showInput }) {
  const started = performance.now();
  const before = process.memoryUsage().heapUsed;
  const refused = new Map();
  let [accepted, peak, slowest] = [0, before, 0];
  for (let i = 0; i < count; i++) {
    const given = input(i);
    const start = performance.now();
    try {
      const reading = read(given);
      if (reading !== undefined) await reading;
      accepted++;
    } catch (error) {
      if (!typed.some((type) => error instanceof type)) throw new Error(`mutation ${i}: ${error} for ${show(given)}`, { cause: error });
      const code = error.code ?? error.name;
      refused.set(code, (refused.get(code) ?? 0) + 1);
    }
    slowest = Math.max(slowest, performance.now() - start);
    if (i % 1000 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed);
  }
  const report = { accepted, refused, heapGrowth: peak - before, slowest, seconds: (performance.now() - started) / 1000 };
  const codes = [...refused].map(([code, n]) => `${code} ${n}`).join(', ');
  console.log(`fuzz: ${count} inputs in ${report.seconds.toFixed(1)} s, ${accepted} accepted, refused: ${codes}; slowest ${slowest.toFixed(0)} ms, heap +${(report.heapGrowth / 2 ** 20).toFixed(0)} MiB`);
  return report;
}

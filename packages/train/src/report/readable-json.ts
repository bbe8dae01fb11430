/** JSON as `JSON.stringify` with an indent of two, but lists of numbers (curves) on one line. */
export function readableJson(data: unknown): string {
  // Through JSON once, for what it leaves out or replaces (undefined, NaN, toJSON).
  return format(JSON.parse(JSON.stringify(data)), '');
}

function format(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((v) => typeof v === 'number' || v === null)) return `[${value.map(String).join(', ')}]`;
    return `[\n${value.map((v) => inner + format(v, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  return `{\n${entries.map(([k, v]) => `${inner}${JSON.stringify(k)}: ${format(v, inner)}`).join(',\n')}\n${indent}}`;
}

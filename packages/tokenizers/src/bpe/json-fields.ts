import { show, TokenizerError } from '../error';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function malformed(what: string, expected: string, got: unknown): TokenizerError {
  return new TokenizerError('malformed', `tokenizer.json: ${what} is ${show(got)}, expected ${expected}`);
}

export function unsupported(what: string, got: unknown, supported: string): TokenizerError {
  return new TokenizerError('unsupported', `tokenizer.json: ${what} is ${show(got)}, only ${supported} is supported`);
}

/** Own properties only: a file cannot reach into `Object.prototype`, nor hide a field there. */
export function fieldOf(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A boolean field; without a `fallback` it must be there. */
export function flagOf(object: JsonObject, key: string, fallback: boolean | undefined, where: string): boolean {
  const value = fieldOf(object, key) ?? fallback;
  if (typeof value !== 'boolean') throw malformed(`${where}.${key}`, 'a boolean', value);
  return value;
}

type Schema = { readonly [key: string]: unknown };

/** What of a value does not fit a JSON schema, by path; only the keywords that report.schema.json uses. */
export function schemaProblems(value: unknown, schema: Schema, root: Schema = schema, path = '$'): string[] {
  const known = [
    '$schema',
    '$defs',
    'title',
    'description',
    '$ref',
    'type',
    'const',
    'enum',
    'pattern',
    'anyOf',
    'items',
    'required',
    'properties',
    'additionalProperties',
  ];
  for (const keyword of Object.keys(schema))
    if (!known.includes(keyword)) throw new Error(`schema keyword ${keyword} is not checked`);
  if (typeof schema.$ref === 'string') {
    const target = schema.$ref
      .slice(2)
      .split('/')
      .reduce<unknown>((at, key) => (at as Schema)[key], root);
    return schemaProblems(value, target as Schema, root, path);
  }
  if (Array.isArray(schema.anyOf)) {
    const all = (schema.anyOf as Schema[]).map((s) => schemaProblems(value, s, root, path));
    return all.some((p) => p.length === 0) ? [] : all.flat();
  }
  const problems: string[] = [];
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((t) => hasType(value, t as string)))
    problems.push(`${path} is ${JSON.stringify(value)}, expected ${types.join(' or ')}`);
  if ('const' in schema && value !== schema.const)
    problems.push(`${path} is ${JSON.stringify(value)}, expected ${JSON.stringify(schema.const)}`);
  if (Array.isArray(schema.enum) && !schema.enum.includes(value))
    problems.push(`${path} is ${JSON.stringify(value)}, expected one of ${schema.enum.join(', ')}`);
  if (typeof schema.pattern === 'string' && !new RegExp(schema.pattern).test(String(value)))
    problems.push(`${path} does not match ${schema.pattern}`);
  if (Array.isArray(value) && schema.items)
    value.forEach((v, i) => problems.push(...schemaProblems(v, schema.items as Schema, root, `${path}[${i}]`)));
  if (hasType(value, 'object')) {
    const fields = value as Schema;
    const properties = (schema.properties ?? {}) as Record<string, Schema>;
    for (const key of (schema.required ?? []) as string[])
      if (!(key in fields)) problems.push(`${path}.${key} is missing`);
    for (const [key, v] of Object.entries(fields)) {
      if (Object.hasOwn(properties, key)) problems.push(...schemaProblems(v, properties[key], root, `${path}.${key}`));
      else if (schema.additionalProperties === false) problems.push(`${path}.${key} is not in the schema`);
      else if (typeof schema.additionalProperties === 'object')
        problems.push(...schemaProblems(v, schema.additionalProperties as Schema, root, `${path}.${key}`));
    }
  }
  return problems;
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

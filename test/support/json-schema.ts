/** As much of JSON Schema (draft 2020-12) as our own schemas use; a keyword that it does not know is an error of the schema. */

export type Schema = Readonly<Record<string, unknown>>;

const annotations = new Set(['$schema', '$defs', 'title', 'description']);

/** Where and why `value` does not follow `schema`; empty when it does. */
export function schemaFaults(schema: Schema, value: unknown, root: Schema = schema, at = '$'): string[] {
  return Object.entries(schema).flatMap(([keyword, says]): string[] => {
    if (annotations.has(keyword)) return [];
    const check = keywords[keyword];
    if (check === undefined) throw new Error(`the schema has the keyword ${keyword}, which is not known here`);
    return check(says, value, { schema, root, at });
  });
}

interface Context {
  readonly schema: Schema;
  readonly root: Schema;
  readonly at: string;
}

type Check = (says: unknown, value: unknown, context: Context) => string[];

const keywords: Readonly<Record<string, Check>> = {
  $ref: (says, value, { root, at }) => schemaFaults(definition(root, String(says)), value, root, at),
  type: (says, value, { at }) => (typeOf(value, says) ? [] : [`${at} is no ${String(says)}`]),
  const: (says, value, { at }) => (says === value ? [] : [`${at} is not ${JSON.stringify(says)}`]),
  enum: (says, value, { at }) => ((says as unknown[]).includes(value) ? [] : [`${at} is ${JSON.stringify(value)}`]),
  minimum: (says, value, { at }) => (typeof value !== 'number' || value >= Number(says) ? [] : [`${at} is below ${String(says)}`]),
  maximum: (says, value, { at }) => (typeof value !== 'number' || value <= Number(says) ? [] : [`${at} is above ${String(says)}`]),
  minItems: (says, value, { at }) => (!Array.isArray(value) || value.length >= Number(says) ? [] : [`${at} has too few`]),
  items: (says, value, { root, at }) =>
    Array.isArray(value) ? value.flatMap((item, index) => schemaFaults(says as Schema, item, root, `${at}[${index}]`)) : [],
  required: (says, value, { at }) => (says as string[]).filter((key) => !(key in objectOf(value))).map((key) => `${at}.${key} is missing`),
  properties: (says, value, { root, at }) =>
    Object.entries(says as Record<string, Schema>).flatMap(([key, property]) =>
      key in objectOf(value) ? schemaFaults(property, objectOf(value)[key], root, `${at}.${key}`) : [],
    ),
  additionalProperties: (says, value, { schema, at }) => {
    if (says !== false) throw new Error('additionalProperties may only be false');
    const known = Object.keys(objectOf(schema['properties']));
    return Object.keys(objectOf(value)).flatMap((key) => (known.includes(key) ? [] : [`${at}.${key} is not known`]));
  },
  anyOf: (says, value, context) => alternatives(says, value, context, (matches) => matches >= 1),
  oneOf: (says, value, context) => alternatives(says, value, context, (matches) => matches === 1),
};

/** The faults of the alternative that comes nearest. */
function alternatives(says: unknown, value: unknown, { root, at }: Context, enough: (matches: number) => boolean): string[] {
  const all = (says as Schema[]).map((schema) => schemaFaults(schema, value, root, at));
  const matches = all.filter((faults) => faults.length === 0).length;
  if (enough(matches)) return [];
  const nearest = all.toSorted((a, b) => a.length - b.length)[0] ?? [];
  return matches > 1 ? [`${at} is several things at a time`] : nearest;
}

function definition(root: Schema, reference: string): Schema {
  const found = objectOf(root['$defs'])[reference.replace('#/$defs/', '')];
  if (found === undefined) throw new Error(`the schema has no ${reference}`);
  return found as Schema;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function typeOf(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'array':
      return Array.isArray(value);
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    case 'number':
    case 'string':
    case 'boolean':
      return typeof value === type;
    default:
      throw new Error(`the schema has the type ${String(type)}`);
  }
}

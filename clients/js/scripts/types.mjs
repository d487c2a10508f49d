// Makes src/api.ts of the API's description, so that the types are those of the server.

import { readFileSync, writeFileSync } from 'node:fs';

const DESCRIPTION = new URL('../../../crates/server/openapi.json', import.meta.url);
const FILE = new URL('../src/api.ts', import.meta.url);

/** The schemas that are of use to an application, in the order in which they are read. */
const NAMES = [
  'Cursor', 'Time', 'KeyVersion', 'Event', 'Control', 'Ready', 'Gap', 'Reset', 'Narrowed', 'End',
  'Reopened', 'Renew', 'Degraded', 'Restored', 'Bye', 'Heartbeat', 'Published', 'Sample', 'SamplesTaken', 'SampleError',
  'Alert', 'Acknowledgement', 'Problem',
];

/** Names that mean something else to browsers. */
const RENAMED = { Event: 'TopicEvent' };

/** Schemas whose `data` is the application's own. */
const GENERIC = { Event: 'data' };

const { schemas } = JSON.parse(readFileSync(DESCRIPTION, 'utf8')).components;

const typeName = (name) => RENAMED[name] ?? name;

function comment(text, indent) {
  return text ? `${indent}/** ${text} */\n` : '';
}

/** A schema as an expression of TypeScript. */
function expression(schema, indent) {
  if (schema.$ref) {
    const name = schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
    return NAMES.includes(name) ? typeName(name) : expression(schemas[name], indent);
  }
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.oneOf) return schema.oneOf.map((one) => expression(one, indent)).join(' | ');
  const types = [schema.type].flat().filter((type) => type && type !== 'null');
  return types.map((type) => ofType(type, schema, indent)).join(' | ') || 'unknown';
}

function ofType(type, schema, indent) {
  switch (type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'array': {
      const items = expression(schema.items, indent);
      return items.includes(' ') ? `(${items})[]` : `${items}[]`;
    }
    case 'object':
      if (!schema.properties) return `Record<string, ${expression(schema.additionalProperties ?? {}, indent)}>`;
      return `{\n${members(schema, `${indent}  `)}${indent}}`;
    default:
      return type;
  }
}

function members(schema, indent, generic = null) {
  return Object.entries(schema.properties).map(([name, member]) => {
    const isOptional = !schema.required?.includes(name);
    const type = name === generic ? 'Data' : expression(member, indent);
    return `${comment(member.description, indent)}${indent}${name}${isOptional ? '?' : ''}: ${type};\n`;
  }).join('');
}

function declaration(name) {
  const schema = schemas[name];
  const head = comment(schema.description, '');
  if (!schema.properties) return `${head}export type ${typeName(name)} = ${expression(schema, '')};\n`;
  const parameter = GENERIC[name] ? '<Data = unknown>' : '';
  return `${head}export interface ${typeName(name)}${parameter} {\n${members(schema, '  ', GENERIC[name])}}\n`;
}

writeFileSync(FILE, `// Made of the API's description by scripts/types.mjs.\n\n${NAMES.map(declaration).join('\n')}`);

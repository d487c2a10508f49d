import assert from 'node:assert/strict';
import test from 'node:test';
import { withoutGerman } from '../scripts/first.mjs';

test('German texts are taken out of a table, and are the same behind it', () => {
  const source = `import { texts } from './text.js';
const t = texts({
  en: { a: 'de: {', n: { one: 'it’s {n}', other: '{n}' } },
  de: { a: 'ein \\'}', n: { one: '{n}', other: '{n}' } },
});
const u = texts({ en: { b: "x" }, de: { b: "y {z}" } });
export const c = { de: {} };
`;
  const tables: string[] = [];
  const text = withoutGerman(source, tables);
  assert.deepEqual(tables, [`{ a: 'ein \\'}', n: { one: '{n}', other: '{n}' } }`, '{ b: "y {z}" }']);
  assert.ok(text.includes(`get de() { return germanTexts()[0]; },\n});`), text);
  assert.ok(text.includes('const u = texts({ en: { b: "x" }, get de() { return germanTexts()[1]; } });'), text);
  assert.ok(text.endsWith('export const c = { de: {} };\n'));
});

test('a table that is made of more than texts stays where it is', () => {
  for (const value of ['other', 'make()', '`a`', '...more']) {
    const tables: string[] = [];
    const source = `const t = texts({ en: { a: 'x' }, de: { a: ${value} } });`;
    assert.equal(withoutGerman(source, tables), source);
    assert.deepEqual(tables, []);
  }
});

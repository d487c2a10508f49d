// What keeps the first load small, as plugins for esbuild.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const loaderOf = (path) => (path.endsWith('x') ? 'tsx' : 'ts');

/**
 * Has all that `core` imports in one file. A module that it shares with pages that are loaded later would
 * else get a file for each set of these, and small files compress badly: each page is told that all of it
 * is there.
 */
export function together(core) {
  const late = new Set();
  return {
    name: 'together',
    setup({ onResolve, onLoad, resolve }) {
      onResolve({ filter: /^\./ }, async ({ kind, path, importer, resolveDir, pluginData }) => {
        if (kind !== 'dynamic-import' || pluginData === 'asked') return undefined;
        const found = await resolve(path, { kind, importer, resolveDir, pluginData: 'asked' });
        late.add(found.path);
        return found;
      });
      onLoad({ filter: /\.tsx?$/ }, ({ path }) => {
        if (!late.has(path) || path === core) return undefined;
        return { contents: `import ${JSON.stringify(core)};\n${readFileSync(path, 'utf8')}`, loader: loaderOf(path) };
      });
    },
  };
}

/** Takes the German texts of these modules out, into `german`, which is loaded where they are read. */
export function germanApart(root, modules) {
  const [german, late] = ['src/text/german.ts', 'src/text/late.ts'].map((name) => join(root, name));
  const tables = [];
  const split = new Map();
  for (const path of modules) {
    const source = readFileSync(path, 'utf8');
    const text = withoutGerman(source, tables);
    if (text !== source) split.set(path, `import { germanTexts } from ${JSON.stringify(late)};\n${text}`);
  }
  return {
    name: 'german apart',
    setup({ onLoad }) {
      onLoad({ filter: /\.tsx?$/ }, ({ path }) => {
        const contents = path === german ? `export default [${tables.join(',\n')}];` : split.get(path);
        return contents === undefined ? undefined : { contents, loader: loaderOf(path) };
      });
    },
  };
}

/** A source whose tables of texts get their German from `germanTexts`; that is added to `tables`. */
export function withoutGerman(source, tables) {
  let text = '';
  let from = 0;
  for (let at = 0; (at = source.indexOf(' = texts({', at)) >= 0; ) {
    const open = source.indexOf('{', at);
    at = closing(source, open);
    const key = keyWithin(source, open, 'de:');
    if (key < 0) continue;
    const begin = source.indexOf('{', key);
    const table = source.slice(begin, closing(source, begin) + 1);
    if (!isLiteral(table)) continue;
    text += `${source.slice(from, key)}get de() { return germanTexts()[${tables.length}]; }`;
    from = begin + table.length;
    tables.push(table);
  }
  return text + source.slice(from);
}

const QUOTES = new Set(["'", '"', '`']);

/** The places of a source behind `from` that are not within a string. */
function* code(source, from) {
  for (let at = from; at < source.length; at += 1) {
    const char = source[at];
    if (!QUOTES.has(char)) yield at;
    else for (at += 1; at < source.length && source[at] !== char; at += 1) if (source[at] === '\\') at += 1;
  }
}

/** Where the brace that opens at `open` closes. */
function closing(source, open) {
  let depth = 0;
  for (const at of code(source, open)) {
    if (source[at] === '{') depth += 1;
    else if (source[at] === '}' && (depth -= 1) === 0) return at;
  }
  return source.length;
}

/** Where a key stands directly within the brace that opens at `open`; -1 where it does not. */
function keyWithin(source, open, key) {
  let depth = 0;
  for (const at of code(source, open)) {
    if (source[at] === '{') depth += 1;
    else if (source[at] === '}' && (depth -= 1) === 0) return -1;
    else if (depth === 1 && source.startsWith(key, at) && /[\s,{]/.test(source[at - 1])) return at;
  }
  return -1;
}

/** Whether a table is made of keys and texts alone: nothing else can be moved. */
function isLiteral(table) {
  const bare = [...code(table, 0)].map((at) => table[at]).join('');
  return !table.includes('`') && !/[.()[\]]|:\s*[A-Za-z_$]/.test(bare.replace(/\/\*.*?\*\//gs, ''));
}

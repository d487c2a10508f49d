// Bundles the pages into a folder: `build.mjs FOLDER`, `dist` by default. Each file lies beside its
// compressed forms. Says what a browser loads before it shows the board, and fails where that is more
// than is promised.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { alone, makeTypes, outputs, page, PAGES, root, STANDING } from './bundle.mjs';
import { germanApart } from './first.mjs';

/** What the first load may come to with gzip, in bytes: the page, its style, and all that it imports at once. */
const FIRST_LOAD_MAX = 60_000;
/** What is smaller is not worth a compressed form. */
const COMPRESSED_MIN = 512;

const folder = resolve(process.argv[2] ?? join(root, 'dist'));

makeTypes();
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
cpSync(join(root, 'static'), folder, { recursive: true });

// What is in the first load is known once it has been bundled; then German is taken out of it.
const whole = await build({ ...PAGES, write: false });
const atFirst = [...filesOf(whole.metafile)].flatMap((path) => Object.keys(whole.metafile.outputs[path].inputs));
const own = [...new Set(atFirst)].filter((path) => path.startsWith('src/')).map((path) => join(root, path));
const { outputFiles, metafile } = await build({
  ...PAGES, write: false, plugins: [germanApart(root, own), ...PAGES.plugins], define: { GERMAN_APART: 'true' },
});
const written = new Map();
for (const { path, contents } of outputFiles) write(path.slice(join(root, 'out/').length), contents);
for (const [name, entry] of Object.entries(STANDING)) {
  const { outputFiles: [file] } = await build(alone(entry));
  write(name, file.contents);
}
const files = outputs(metafile);
write('index.html', Buffer.from(page(readFileSync(join(root, 'src/index.html'), 'utf8'), files)));

const first = firstLoad(files.get('src/style/index.css'));
console.log(`the first load: ${first} bytes with gzip, ${FIRST_LOAD_MAX} at most`);
if (first > FIRST_LOAD_MAX) {
  console.error(`the first load costs ${first} bytes with gzip, more than ${FIRST_LOAD_MAX}`);
  process.exit(1);
}

/** Writes a file with its compressed forms, where these are smaller. */
function write(name, contents) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
  const gzip = gzipSync(contents, { level: 9 });
  written.set(name, gzip.length);
  if (contents.length < COMPRESSED_MIN) return;
  const brotli = brotliCompressSync(contents, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  if (gzip.length < contents.length) writeFileSync(`${path}.gz`, gzip);
  if (brotli.length < contents.length) writeFileSync(`${path}.br`, brotli);
}

/** The script of the page, and what that imports at once. */
function filesOf({ outputs }) {
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: imported, kind } of outputs[path].imports) {
      if (kind === 'import-statement') visit(imported);
    }
  };
  visit(Object.keys(outputs).find((path) => outputs[path].entryPoint === 'src/main.tsx'));
  return seen;
}

/** Bytes with gzip of the page, its style, its script and what that imports at once. */
function firstLoad(style) {
  const names = ['index.html', style, ...[...filesOf(metafile)].map((path) => path.replace(/^out\//, ''))];
  return names.reduce((sum, name) => sum + written.get(name), 0);
}

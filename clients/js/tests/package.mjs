// A package as others meet it: its examples, and its types as TypeScript reads them.

import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));

/** What the README of the package in this folder shows in this language. */
export function examplesOf(root, language) {
  const readme = readFileSync(`${root}README.md`, 'utf8');
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, code]) => code);
}

/** A folder within the package, from which it is found by its name. */
export function folderOf(root, name) {
  const folder = `${root}dist/${name}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** What TypeScript says of files with these names. */
export async function typeCheck(folder, files, options = {}) {
  const config = {
    compilerOptions: {
      module: 'NodeNext', strict: true, noEmit: true, target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      types: [], allowJs: true, checkJs: true, skipLibCheck: false, ...options,
    },
    include: ['*'],
  };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config));
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text);
  const { stdout } = await promisify(execFile)('node', [TSC, '-p', folder]).catch((error) => error);
  return stdout.split('\n').filter((line) => line && !line.startsWith(' '));
}

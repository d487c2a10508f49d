// All scenarios, each once for every transport that it is about.

import { readdirSync } from 'node:fs';

const folder = new URL('../scenarios/', import.meta.url);

async function load() {
  const names = readdirSync(folder).filter((name) => name.endsWith('.mjs')).sort();
  const modules = await Promise.all(names.map((name) => import(new URL(name, folder).href)));
  return modules.flatMap(({ scenarios }, index) => scenarios.map((scenario) => ({ ...scenario, file: names[index] })));
}

/** What clients have to do, as it is written. */
const requirements = await load();

/** What is run: `title` names each. */
export const scenarios = requirements.flatMap((scenario) => {
  const { name, over, needs = [] } = scenario;
  if (!over) return [{ ...scenario, title: name, needs }];
  return over.map((transport) => ({ ...scenario, transport, title: `${name} (${transport})`, needs: [transport, ...needs] }));
});

/** The requirements as README.md has them. */
export function requirementsPage() {
  const files = [...new Set(requirements.map(({ file }) => file))];
  return files.map((file) => {
    const name = file.replace('.mjs', '');
    const rows = requirements.filter((scenario) => scenario.file === file).map(({ name, over = [], needs = [], isReal, requirement }) => {
      const asked = [...over, ...needs].map((need) => `\`${need}\``).join(', ');
      return `| \`${name}\` | ${asked}${isReal ? ' (real)' : ''} | ${requirement} |`;
    });
    return `### ${name[0].toUpperCase()}${name.slice(1)}\n\n| scenario | of | requirement |\n|---|---|---|\n${rows.join('\n')}\n`;
  }).join('\n');
}

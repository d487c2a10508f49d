// README.md says what is required: all of it, and nothing else.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { requirementsPage, scenarios } from '../suite/scenarios.mjs';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('README.md has the requirements as the scenarios have them', () => {
  const [, written] = readme.split(/<!-- requirements -->\n|<!-- end of requirements -->/);
  assert.equal(written, requirementsPage(), 'put the output of `node run.mjs --list` between its two marks');
});

test('each scenario has a name of its own, and needs what README.md has a word for', () => {
  const titles = scenarios.map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
  for (const need of new Set(scenarios.flatMap(({ needs }) => needs))) {
    assert.match(readme, new RegExp(`^\\|.*\`${need}\`.*\\| `, 'm'), `no capability \`${need}\` is described`);
  }
});

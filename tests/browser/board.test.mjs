// The example of a board in one bare EventSource, which is also the page of a binary that was built
// without its pages: it says that nothing fires only where something could and would be seen.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBelow } from './below.mjs';
import { PATIENCE_MS } from './setting.mjs';

const RULES = `
groups:
  - name: boilers
    rules:
      - { alert: BoilerHot, expr: boiler_temperature_celsius > 90, labels: { severity: critical } }
`;

async function withRules(data) {
  const file = join(data, 'rules.yml');
  await writeFile(file, RULES);
  return ['--rules', file];
}

async function withAccess(data) {
  const file = join(data, 'access.toml');
  await writeFile(file, '[access]\nanonymous = "guest"\n[[access.role]]\nname = "guest"\nsubscribe = ["alerts/**"]\nalerts = ["{}"]\n');
  return ['--config', file, ...await withRules(data)];
}

function proves(name, flags, body) {
  test(name, { timeout: 5 * PATIENCE_MS }, async (t) => {
    const parts = await openBelow(t, 'board.html', flags);
    /** Waits until head and tab both say so. */
    const says = (tone, headline, proof = '') => parts.page.waitForFunction(
      ([tone, headline, proof]) => {
        const header = document.getElementById('header');
        const [first, second] = [...header.children].map((it) => it.textContent);
        return header.dataset.tone === tone && first.endsWith(` ${headline}`) && second.includes(proof) && document.title.includes(headline);
      },
      [tone, headline, proof],
    );
    await body({ ...parts, says });
    assert.deepEqual(parts.faults, []);
  });
}

async function send(server, values) {
  const samples = Object.entries(values).map(([site, value]) => ({ name: 'boiler_temperature_celsius', labels: { site }, value }));
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/v1/samples`, { method: 'POST', headers, body: JSON.stringify(samples) });
  assert.equal(answer.status, 200, await answer.text());
}

proves('without rules nothing can fire, whatever comes', () => [], async ({ server, page, url, says }) => {
  await page.goto(url);
  await says('wrong', 'No rule is loaded: nothing can fire', 'no sample yet');
  await send(server, { oslo: 99 });
  // It is none that a rule selects.
  await says('wrong', 'No rule is loaded: nothing can fire', '0 rules · no sample yet');
});

proves('that nothing fires is proved by rules and samples, and over where the server is', withRules, async ({ server, page, url, says }) => {
  await page.goto(`${url}/`);
  await says('wrong', 'No samples come: nothing can fire', '1 rule · no sample yet');
  await send(server, { oslo: 70 });
  await says('good', 'Nothing fires', '1 rule · last sample');
  await send(server, { oslo: 95 });
  await says('firing', '1 alert firing', '1 rule · last sample');
  await page.getByText('site=oslo').waitFor();
  await send(server, { oslo: 70 });
  await says('good', 'Nothing fires');
  // It stands still without a word: nothing says so but that nothing comes.
  server.signal('SIGSTOP');
  await says('wrong', 'Not live', 'Nothing has come for');
  server.signal('SIGCONT');
  await says('good', 'Nothing fires');
  await server.end('SIGKILL');
  await says('wrong', 'Not live', 'What is below is');
  await server.start();
  await says('wrong', 'No samples come: nothing can fire');
  await send(server, { oslo: 70 });
  await says('good', 'Nothing fires');
});

proves('who comes to a server that is not there sees no good news', withRules, async ({ server, page, url, says }) => {
  await server.end('SIGKILL');
  await page.goto(url);
  await says('wrong', 'Not live', 'says 502');
  await server.start();
  await says('wrong', 'No samples come: nothing can fire');
});

proves('who may not see whether rules are loaded is told nothing good', withAccess, async ({ page, url, says }) => {
  await page.goto(url);
  await says('unsure', 'No alert that you may see', 'Whether rules are loaded');
});

proves('many alerts of one name are one line, and what they say is text', withRules, async ({ server, page, url, says }) => {
  const sites = Array.from({ length: 120 }, (_, i) => `<img src=x onerror=alert(${i})>`);
  await send(server, Object.fromEntries(sites.map((site) => [site, 99])));
  await page.goto(url);
  await says('firing', '120 alerts firing');
  await page.getByText('120 firing', { exact: true }).click();
  await page.getByText('site=<img src=x onerror=alert(').first().waitFor();
  // A hundred are enough to read; all are counted.
  assert.equal(await page.locator('details').count(), 1);
  assert.equal(await page.locator('details li').count(), 100);
  assert.equal(await page.locator('img').count(), 0);
});

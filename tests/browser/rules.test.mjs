// The page of rules: how each goes, what it has firing, and the bench.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from './served.mjs';
import { shoot } from './page.mjs';
import { PATIENCE_MS } from './setting.mjs';

const RULES = `
groups:
  - name: boilers
    rules:
      - { alert: BoilerHot, expr: temperature > 90, labels: { severity: critical } }
      - { record: 'site:temperature:max', expr: max by (site) (temperature) }
      - { alert: Misspelt, expr: temprature > 90 }
      - { alert: Ambiguous, expr: 'temperature * on (kind) pressure > 0' }
  - name: slow
    mode: tick
    interval: 10s
    rules:
      - { alert: Rising, expr: 'deriv(temperature[5m]) > 1' }
`;
const timeout = 5 * PATIENCE_MS;

const SAMPLES = [['temperature', 'oslo', 95], ['temperature', 'bergen', 20], ['pressure', 'oslo', 1], ['pressure', 'bergen', 2]]
  .map(([name, site, value]) => JSON.stringify({ name, labels: { site, kind: 'boiler' }, value })).join('\n');

test('without rules the page says so, and how to load some', { timeout }, async (t) => {
  const { page, open } = await serve(t);
  await open('rules');
  await page.getByText('No rule is loaded').waitFor();
  await page.getByText('bellwire serve --rules').waitFor();
});

test('each rule shows what it has firing, what is wrong with it, and that it sees nothing', { timeout }, async (t) => {
  const { page, open, post } = await serve(t, { rules: RULES });
  await post('/v1/samples', SAMPLES);
  await open('rules');
  const rule = (name) => page.locator('.rule', { hasText: name });
  await rule('BoilerHot').getByText('1 fires').waitFor();
  await rule('Misspelt').getByText('sees no series').waitFor();
  await rule('Ambiguous').getByText('fails').waitFor();
  await rule('Ambiguous').locator('.rule-error', { hasText: 'duplicate' }).waitFor();
  await rule('Rising').getByText('each 10 s').waitFor();
  await rule('BoilerHot').getByRole('button', { name: 'Details of BoilerHot' }).click();
  await rule('BoilerHot').getByText('rules.yml, line 5').waitFor();
  const link = rule('BoilerHot').getByRole('link', { name: 'The alert on the board' });
  assert.equal(await link.getAttribute('href'), `#/alerts?filter=${encodeURIComponent('alertname="BoilerHot"')}`);
  await page.getByLabel('Show').selectOption('onlyBlind');
  await rule('BoilerHot').waitFor({ state: 'detached' });
  assert.equal(await page.locator('.rule').count(), 1);
  await shoot(page, 'rules');
});

test('the bench evaluates over what is in memory, and shows where an expression is wrong', { timeout }, async (t) => {
  const { page, open, post } = await serve(t, { rules: RULES });
  await post('/v1/samples', SAMPLES);
  await open('rules');
  await page.locator('.rule', { hasText: 'BoilerHot' }).getByRole('button', { name: 'Details of BoilerHot' }).click();
  await page.getByRole('button', { name: 'Try it' }).click();
  const rows = page.locator('.bench tbody tr');
  const expression = page.getByRole('textbox', { name: 'Expression' });
  await expression.fill('max by (site) (temperature)');
  await page.getByLabel('Over').selectOption('0');
  await page.getByRole('button', { name: 'Evaluate' }).click();
  await rows.filter({ hasText: '{site="bergen"}' }).filter({ hasText: '20' }).waitFor();
  assert.equal(await rows.count(), 2);
  await page.getByLabel('Over').selectOption('300');
  await expression.press('Control+Enter');
  await rows.first().locator('svg.spark').waitFor();
  assert.match(await rows.first().locator('svg.spark path').getAttribute('d'), /^M[\d.]+ /);
  await expression.fill('sum by (site (temperature)');
  await expression.press('Control+Enter');
  await page.locator('.bench .error', { hasText: 'Line 1, column' }).waitFor();
  assert.ok((await page.locator('.fault mark').textContent()).length > 0);
  await expression.fill('temperature > 1000');
  await expression.press('Control+Enter');
  await page.locator('.bench .empty', { hasText: 'It comes to nothing' }).waitFor();
});

test('a server that goes away leaves what was told, with its age', { timeout }, async (t) => {
  const { server, page, open, post } = await serve(t, { rules: RULES });
  await post('/v1/samples', SAMPLES);
  await open('rules');
  await page.locator('.rule', { hasText: 'BoilerHot' }).waitFor();
  await server.end('SIGKILL');
  await page.getByText('The server does not answer; this is').waitFor();
  assert.equal(await page.locator('.rule').count(), 5);
  await server.start();
  await page.getByText('The server does not answer; this is').waitFor({ state: 'detached' });
});

test('who may see no alerts is told so', { timeout }, async (t) => {
  const config = '[access]\nanonymous = "guest"\n[[access.role]]\nname = "guest"\nsubscribe = ["news/**"]\n';
  const { page, open } = await serve(t, { rules: RULES, config });
  await open('rules');
  await page.getByText('You may not see this').waitFor();
});

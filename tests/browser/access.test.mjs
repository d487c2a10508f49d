// The page about access: who somebody is and what they may do, in words; for administrators, keys that
// are shown once, what was taken back, and who did what.

import assert from 'node:assert/strict';
import { provesLogin } from './login.mjs';
import { shoot } from './page.mjs';

async function enter(page, url, key) {
  await page.goto(`${url}/#/access`);
  const login = page.getByRole('dialog', { name: 'Log in' });
  await login.waitFor();
  const choice = login.getByLabel('Token or key', { exact: true });
  if (await choice.isVisible()) await choice.check();
  await login.getByLabel('Token or API key').fill(key);
  await login.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Access', level: 1 }).waitFor();
}

const section = (page, name) => page.getByRole('region', { name, exact: true });
const right = (page, name) => section(page, 'What you may do').getByRole('row', { name });

provesLogin('access: somebody reads who they are and what they may do, and what is for administrators', { hasUser: false }, async ({ page, url, keys }) => {
  await enter(page, url, keys['wall-screen']);
  const you = section(page, 'You');
  await you.getByText('wall-screen').waitFor();
  await you.getByText('a login in this browser').waitFor();
  await you.getByText(/, in \d+ h/).waitFor();
  await right(page, 'see alerts all').waitFor();
  await right(page, 'follow topics some alerts/** samples/**').waitFor();
  await right(page, 'acknowledge and silence alerts no').waitFor();
  await right(page, 'administer: keys, rules, the audit no').waitFor();
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.getByText('your roles lack the right “admin”').waitFor();
  assert.equal(await section(page, 'API keys').count(), 0);
  assert.deepEqual(asked.filter((one) => /keys|revocations|audit/.test(one)), [], 'what would be refused is not asked for');
  await shoot(page, 'access-viewer');
});

provesLogin('access: a key is made, shown once, good, and taken back with the keyboard alone', { hasUser: false }, async ({ page, url, keys }) => {
  await enter(page, url, keys.root);
  const list = section(page, 'API keys');
  const configured = list.getByRole('row', { name: 'boiler-7' });
  await configured.getByText('in the configuration').waitFor();
  await list.getByRole('button', { name: 'Make a key…' }).focus();
  await page.keyboard.press('Enter');
  const making = page.getByRole('dialog', { name: 'Make an API key' });
  await making.waitFor();
  await page.keyboard.type('oven-3');
  await page.keyboard.press('Tab');
  await page.keyboard.type('nothing-such');
  await page.keyboard.press('Enter');
  await making.getByRole('alert').filter({ hasText: 'nothing-such' }).waitFor();
  await shoot(page, 'access-key-refused');
  await making.getByLabel('Roles').fill('sensor');
  await making.getByLabel('It ends').selectOption('30');
  // Whoever presses twice makes one.
  await making.locator('form').evaluate((form) => { form.requestSubmit(); form.requestSubmit(); });
  const shown = page.getByRole('dialog', { name: 'The key of oven-3' });
  const key = await shown.getByLabel('Key', { exact: true }).inputValue();
  const asWho = async () => {
    const answer = await fetch(`${url}/v1/whoami`, { headers: { authorization: `Bearer ${key}` } });
    return answer.ok ? (await answer.json()).subject : answer.status;
  };
  assert.equal(await asWho(), 'oven-3');
  await shoot(page, 'access-key');
  await page.keyboard.press('Escape');
  await shown.waitFor({ state: 'hidden' });
  assert.ok(!(await page.content()).includes(key), 'it is nowhere on the page any more');
  // The focus is back, a moment later.
  await list.getByRole('button', { name: 'Make a key…' }).and(page.locator(':focus')).waitFor();

  const row = list.getByRole('row', { name: 'oven-3' });
  assert.equal(await row.count(), 1);
  await row.getByText('by root').waitFor();
  await row.getByRole('button', { name: 'Take back…' }).click();
  const sure = page.getByRole('dialog', { name: 'Take back the key of oven-3?' });
  await sure.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await asWho(), 'oven-3');
  await row.getByRole('button', { name: 'Take back…' }).click();
  await sure.getByRole('button', { name: 'Take back' }).click();
  await row.waitFor({ state: 'detached' });
  assert.equal(await asWho(), 401);
  await section(page, 'Audit').getByRole('row', { name: 'took a key back' }).waitFor();
  // One of the configuration stays where it stands, and counts no more.
  await configured.getByRole('button', { name: 'Take back…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Take back' }).click();
  await list.getByRole('button', { name: 'Show 1 that counts no more' }).click();
  await configured.getByText('taken back').waitFor();
  await shoot(page, 'access-admin');
});

provesLogin('access: who did what comes as it happens, and is found', { hasUser: false }, async ({ page, url, keys, ask }) => {
  await enter(page, url, keys.root);
  const audit = section(page, 'Audit');
  await audit.getByRole('row', { name: 'root logged in' }).waitFor();
  const odd = '<img src=x onerror=alert(1)>';
  await ask('POST', '/v1/revocations', { subject: odd });
  const row = audit.getByRole('row', { name: 'took back' });
  await row.getByText(odd).waitFor();
  await audit.getByRole('combobox').selectOption({ label: 'made a key' });
  await audit.getByText('Nothing of it matches.').waitFor();
  await audit.getByRole('combobox').selectOption('');
  await audit.getByRole('searchbox').fill('ONERROR 127.0.0');
  await row.waitFor();
  assert.equal(await audit.getByRole('row').count(), 2, 'the head and what was searched for');
  await shoot(page, 'access-audit');

  const taken = section(page, 'Taken back');
  await taken.getByRole('button', { name: 'Take back…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Take back' });
  await dialog.getByLabel('Name').fill('root');
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await dialog.getByRole('alert').filter({ hasText: /./ }).waitFor();
  await dialog.getByLabel('Name').fill('red');
  await dialog.getByRole('button', { name: 'Take back' }).click();
  const red = taken.getByRole('row', { name: 'red' });
  await red.getByRole('button', { name: 'Let count again…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Let count again' }).click();
  await red.waitFor({ state: 'detached' });
});

provesLogin('access: a stranger reads that they are one', { access: 'anonymous = "viewer"' }, async ({ page, url }) => {
  await page.goto(`${url}/#/access`);
  const you = section(page, 'You');
  await you.getByText('nothing: you are a stranger').waitFor();
  await right(page, 'see alerts all').waitFor();
  await page.getByText('your roles lack the right “admin”').waitFor();
});

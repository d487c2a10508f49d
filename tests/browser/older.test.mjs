// Browsers as old as the pages are made for, and what they do not have (`target` of `web/scripts/bundle.mjs`).

import { test } from 'node:test';
import { serve } from './served.mjs';
import { PATIENCE_MS } from './setting.mjs';

test('an older browser shows who is here, and follows an expression', { timeout: 4 * PATIENCE_MS }, async (t) => {
  const { page, post, open } = await serve(t, { config: 'presence = ["alerts/active"]\n' });
  await page.addInitScript(() => {
    // Since Firefox 125; since Chrome 116, Firefox 124 and Safari 17.4.
    delete Intl.Segmenter;
    delete AbortSignal.any;
    localStorage.setItem('bellwire-author', 'élodie');
  });
  await post('/v1/samples', JSON.stringify({ name: 'boiler_temperature_celsius', labels: { site: 'oslo' }, value: 93 }));
  await open('');
  await page.locator('.here .heads', { hasText: 'É' }).waitFor();
  await open(`live?q=${encodeURIComponent('boiler_temperature_celsius > 90')}`);
  await page.getByRole('row', { name: 'oslo' }).getByText('93.0 °C').first().waitFor();
});

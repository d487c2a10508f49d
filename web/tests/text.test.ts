import assert from 'node:assert/strict';
import test from 'node:test';
import { age } from '../src/format/age.js';
import { chooseLanguage, texts } from '../src/text/text.js';

test('numbers choose the form, and values stand in their places', () => {
  const t = texts({
    en: { rules: { one: '{n} rule of {site}', other: '{n} rules of {site}' } },
    de: { rules: { one: '{n} Regel von {site}', other: '{n} Regeln von {site}' } },
  });
  chooseLanguage('en');
  assert.equal(t('rules', { n: 1, site: '{n}' }), '1 rule of {n}');
  assert.equal(t('rules', { n: 1234, site: 'oslo' }), '1,234 rules of oslo');
  chooseLanguage('de');
  assert.equal(t('rules', { n: 1234, site: 'oslo' }), '1.234 Regeln von oslo');
  chooseLanguage('en');
});

test('an age is as short as a table has room for, and never of the future', () => {
  const cases = [[-5_000, '0 s'], [59_999, '59 s'], [60_000, '1 min'], [3_600_000, '1 h'], [3_900_000, '1 h 5 min'], [93_600_000, '1 d 2 h']] as const;
  for (const [milliseconds, text] of cases) assert.equal(age(milliseconds), text);
});

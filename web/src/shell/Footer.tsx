// Below every page: what it is made of, the language, light or dark, and clocks that differ.

import { age } from '../format/age.js';
import { clockErrorMs, skewMs } from '../stores/clock.js';
import { NotifyButton } from '../notify/Button.js';
import { chooseLanguage, language, LANGUAGES, type Language, texts } from '../text/text.js';
import { ticks } from '../ui/now.js';
import { chooseTheme, theme, THEMES, type Theme } from './theme.js';

const t = texts({
  en: {
    language: 'Language', theme: 'Appearance', system: 'As the system', light: 'Light', dark: 'Dark', api: 'Made of the public API',
    ahead: 'This machine’s clock is {age} ahead of the server’s. Ages are in the server’s time.',
    behind: 'This machine’s clock is {age} behind the server’s. Ages are in the server’s time.',
  },
  de: {
    language: 'Sprache', theme: 'Aussehen', system: 'Wie das System', light: 'Hell', dark: 'Dunkel', api: 'Aus der öffentlichen API gemacht',
    ahead: 'Die Uhr dieses Rechners geht {age} vor gegenüber der des Servers. Dauern sind in Serverzeit.',
    behind: 'Die Uhr dieses Rechners geht {age} nach gegenüber der des Servers. Dauern sind in Serverzeit.',
  },
});

/** Clocks that differ by more are worth a word. */
const SKEW_TOLD_MS = 30_000;

export function Footer() {
  return (
    <footer>
      <p><a href="openapi.json">{t('api')}</a></p>
      <Skew />
      <NotifyButton />
      <p class="choices">
        <label>{t('theme')} <select id="theme" value={theme.value} onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}>
          {THEMES.map((name) => <option key={name} value={name}>{t(name)}</option>)}
        </select></label>
        <label>{t('language')} <select id="language" value={language.value} onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
          {Object.entries(LANGUAGES).map(([code, name]) => <option key={code} value={code}>{name}</option>)}
        </select></label>
      </p>
    </footer>
  );
}

function Skew() {
  void ticks.value;
  const skew = skewMs();
  if (clockErrorMs.value === null || Math.abs(skew) < SKEW_TOLD_MS) return null;
  return <p id="skew">{t(skew > 0 ? 'ahead' : 'behind', { age: age(Math.abs(skew)) })}</p>;
}

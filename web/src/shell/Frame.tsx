// What stands around every page: name, navigation, proof of life, and the band of trouble.

import { chooseLanguage, language, LANGUAGES, type Language, texts } from '../text/text.js';
import { Announcer } from '../ui/announce.js';
import { Outlet } from './Outlet.js';
import { PAGES } from './pages.js';
import { Proof } from './Proof.js';
import { address, route } from './router.js';
import { Trouble } from './Trouble.js';

const t = texts({
  en: { skip: 'Skip to the content', pages: 'Pages', language: 'Language', api: 'Made of the public API' },
  de: { skip: 'Zum Inhalt', pages: 'Seiten', language: 'Sprache', api: 'Aus der öffentlichen API gemacht' },
});

export function Frame() {
  const listed = PAGES.filter(({ isListed = true }) => isListed);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>{t('skip')}</a>
      <header class="top">
        <a class="brand" href={address('alerts')}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a1.6 1.6 0 0 1 1.6 1.5A6 6 0 0 1 18 10.3v3.2l1.7 2.8a.8.8 0 0 1-.7 1.2H5a.8.8 0 0 1-.7-1.2L6 13.5v-3.2a6 6 0 0 1 4.4-5.8A1.6 1.6 0 0 1 12 3zm-2.3 16h4.6a2.4 2.4 0 0 1-4.6 0z" /></svg>
          Bellwire
        </a>
        <nav aria-label={t('pages')}>
          {listed.map(({ name, title }) => (
            <a key={name} href={address(name)} aria-current={route.value.page === name ? 'page' : undefined}>{title()}</a>
          ))}
        </nav>
        <Proof />
      </header>
      <Trouble />
      <Announcer />
      <main id="content" tabIndex={-1}>
        <Outlet />
      </main>
      <footer>
        <p><a href="openapi.json">{t('api')}</a></p>
        <label>{t('language')} <select value={language.value} onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
          {Object.entries(LANGUAGES).map(([code, name]) => <option key={code} value={code}>{name}</option>)}
        </select></label>
      </footer>
    </>
  );
}

/** The address stays: it is the page's. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

// The page that the address names.

import { useEffect, useState } from 'preact/hooks';
import type { ComponentType } from 'preact';
import { texts } from '../text/text.js';
import { lookForVersion } from '../stores/version.js';
import { Boundary } from './Boundary.js';
import { type Page, PAGES } from './pages.js';
import { address, route } from './router.js';
import { pagesStyle } from './style.js';

const t = texts({
  en: {
    loading: 'Loading',
    missing: 'There is no page “{name}”.',
    toBoard: 'To the alerts',
    failed: 'This page did not come.',
    broken: 'This page has failed.',
    newer: 'The server may have a newer version than this tab: reload it.',
    reload: 'Reload',
  },
  de: {
    loading: 'Lädt',
    missing: 'Eine Seite „{name}“ gibt es nicht.',
    toBoard: 'Zu den Alarmen',
    failed: 'Diese Seite kam nicht an.',
    broken: 'Diese Seite ist gescheitert.',
    newer: 'Der Server hat vielleicht eine neuere Version als dieser Tab: neu laden.',
    reload: 'Neu laden',
  },
});

type Loaded = { of: Page; component: ComponentType | null; hasFailed: boolean };

/** The page, and its style where that has not come with the frame. */
async function load(page: Page): Promise<ComponentType> {
  const component = page.load();
  if (!(component instanceof Promise)) return component;
  const [loaded] = await Promise.all([component, pagesStyle()]);
  return loaded;
}

export function Outlet() {
  const page = PAGES.find(({ name }) => name === route.value.page);
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  useEffect(() => {
    if (!page) return;
    let isWanted = true;
    // A tab of an older version asks for files that a newer server does not have.
    load(page).then(
      (component) => isWanted && setLoaded({ of: page, component, hasFailed: false }),
      () => {
        if (isWanted) setLoaded({ of: page, component: null, hasFailed: true });
        void lookForVersion();
      },
    );
    return () => { isWanted = false; };
  }, [page]);
  if (!page) {
    return <section class="panel"><p class="empty">{t('missing', { name: route.value.page })} <a href={address('alerts')}>{t('toBoard')}</a></p></section>;
  }
  if (loaded?.of !== page) return <p class="empty" aria-busy="true">{t('loading')}</p>;
  if (loaded.hasFailed) return <Failed text={`${t('failed')} ${t('newer')}`} />;
  const Shown = loaded.component!;
  return <Boundary of={route.value} fallback={<Failed text={t('broken')} />}><Shown /></Boundary>;
}

function Failed({ text }: { text: string }) {
  return (
    <section class="panel" role="alert">
      <p class="empty">{text} <button type="button" onClick={() => location.reload()}>{t('reload')}</button></p>
    </section>
  );
}

// What stands around every page: name, navigation, proof of life, who is here, and the band of trouble.

import { useEffect, useRef } from 'preact/hooks';
import { OpenAlert } from '../alert/Open.js';
import { Attend } from '../attend/Attend.js';
import { hasShown, isUnknown, standing } from '../stores/who.js';
import { texts } from '../text/text.js';
import { Announcer } from '../ui/announce.js';
import { Footer } from './Footer.js';
import { Here } from './Here.js';
import { Account, LogOutFault, LookOnly } from './login/Account.js';
import { Login } from './login/Login.js';
import { Navigation } from './Navigation.js';
import { Outlet } from './Outlet.js';
import { Proof } from './Proof.js';
import { address } from './router.js';
import { Trouble } from './Trouble.js';

const t = texts({
  en: { skip: 'Skip to the content' },
  de: { skip: 'Zum Inhalt' },
});

export function Frame() {
  // Nothing is asked for what somebody may not see yet.
  const isBlank = standing.value === 'asking' || (isUnknown.value && !hasShown.value);
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>{t('skip')}</a>
      <Top />
      <LogOutFault />
      <Announcer />
      <Login />
      <main id="content" tabIndex={-1} hidden={isBlank}>
        {!isBlank && <Outlet />}
      </main>
      {!isBlank && <OpenAlert />}
      {!isBlank && <Attend />}
      <Footer />
    </>
  );
}

function Top() {
  const top = useRef<HTMLElement>(null);
  // What is focused is scrolled to below it, however high it is.
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      document.documentElement.style.setProperty('--top', `${Math.ceil(top.current!.getBoundingClientRect().height)}px`);
    });
    observer.observe(top.current!);
    return () => observer.disconnect();
  }, []);
  return (
    <header class="top" ref={top}>
      <div class="bar">
        <a class="brand" aria-label="Bellwire" href={address('alerts')}>
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a1.6 1.6 0 0 1 1.6 1.5A6 6 0 0 1 18 10.3v3.2l1.7 2.8a.8.8 0 0 1-.7 1.2H5a.8.8 0 0 1-.7-1.2L6 13.5v-3.2a6 6 0 0 1 4.4-5.8A1.6 1.6 0 0 1 12 3zm-2.3 16h4.6a2.4 2.4 0 0 1-4.6 0z" /></svg>
          <span>Bellwire</span>
        </a>
        {(hasShown.value || !isUnknown.value) && <Navigation />}
        <div class="status">
          <Proof />
          <LookOnly />
          <Here />
          <Account />
        </div>
      </div>
      <Trouble />
    </header>
  );
}

/** The address stays: it is the page's. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

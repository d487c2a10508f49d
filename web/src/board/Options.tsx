// What few need every day: opening all groups, the wall, keys, and how rows are read.

import { useEffect } from 'preact/hooks';
import { setParameters } from '../shell/router.js';
import { texts } from '../text/text.js';
import { announce } from '../ui/announce.js';
import { attend } from './attention.js';
import { setAllGroups } from './engine.js';
import { isHelpOpen } from './keys.js';
import { letters, paging } from './view.js';

const t = texts({
  en: { expandAll: 'Open all groups', collapseAll: 'Close all groups', copyLink: 'Copy the address', copied: 'Copied', wall: 'Show on a wall', keys: 'Keys', paged: 'In pages, each row whole', letters: 'Single keys do something' },
  de: { expandAll: 'Alle Gruppen öffnen', collapseAll: 'Alle Gruppen schließen', copyLink: 'Adresse kopieren', copied: 'Kopiert', wall: 'Als Wandanzeige', keys: 'Tasten', paged: 'Seitenweise, jede Zeile ganz', letters: 'Einzelne Tasten wirken' },
});

/** Pages without TLS have no clipboard. */
const copy = () => void navigator.clipboard?.writeText(location.href).then(() => announce(t('copied')), () => {});

export function Options({ close }: { close(): void }) {
  useEffect(attend, []);
  const act = (run: () => void) => () => {
    close();
    run();
  };
  return (
    <div class="board-options">
      <button class="quiet" type="button" onClick={act(() => setAllGroups(true))}>{t('expandAll')}</button>
      <button class="quiet" type="button" onClick={act(() => setAllGroups(false))}>{t('collapseAll')}</button>
      {'clipboard' in navigator && <button class="quiet" type="button" onClick={act(copy)}>{t('copyLink')}</button>}
      <button class="quiet" type="button" onClick={act(() => setParameters({ wall: '1' }))}>{t('wall')}</button>
      <button class="quiet" type="button" onClick={act(() => { isHelpOpen.value = true; })}>{t('keys')}</button>
      <label><input type="checkbox" checked={paging.signal.value} onChange={(event) => paging.set(event.currentTarget.checked)} /> {t('paged')}</label>
      <label><input type="checkbox" checked={letters.signal.value} onChange={(event) => letters.set(event.currentTarget.checked)} /> {t('letters')}</label>
    </div>
  );
}

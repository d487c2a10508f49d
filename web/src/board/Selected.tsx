// What can be done with all that is picked: a bar over the end of the page, which moves no row.

import { useEffect } from 'preact/hooks';
import { actOn, mayAttend, obstacle } from './acting.js';
import { model, ordered } from './engine.js';
import { clearSelection, selectedAlerts, selection } from './selection.js';
import { t } from './texts.js';

const OFFERED = ['acknowledge', 'assign', 'comment', 'silence'] as const;

export function Selected() {
  const { size } = selection.value;
  useEffect(() => { document.documentElement.toggleAttribute('data-selected', size > 0); }, [size > 0]);
  if (size === 0) return null;
  void ordered.value;
  const n = [...selection.value].filter((one) => model.value.find(one)).length;
  const reason = mayAttend.value ? obstacle.value : t('cannotAttend');
  return (
    <div class="selected" role="region" aria-label={t('bulk')}>
      <b>{t('selected', { n })}</b>
      {n < size && <span>{t('notShown', { n: size - n })}</span>}
      {OFFERED.map((kind) => (
        <button key={kind} type="button" disabled={reason !== '' || n === 0} title={reason || undefined} onClick={() => actOn(kind, selectedAlerts())}>{t(kind)}</button>
      ))}
      <button type="button" onClick={clearSelection}>{t('clearSelection')}</button>
    </div>
  );
}

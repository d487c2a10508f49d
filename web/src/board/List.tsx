// The board as a list: windowed, or in pages that are whole in the document.

import { useEffect, useRef } from 'preact/hooks';
import { signal } from '@preact/signals';
import { look } from '../format/severity.js';
import { Window } from '../ui/Window.js';
import { AlertRow } from './AlertRow.js';
import { watch } from './attention.js';
import { shown, shownAlert } from './engine.js';
import { GroupRow, worstOf } from './GroupRow.js';
import { LaneRow } from './LaneRow.js';
import type { Row } from './model.js';
import { t } from './texts.js';
import { pageNumber, paging } from './view.js';

const KINDS = ['lane', 'group', 'alert'] as const;
export const PAGE_ROWS = 50;

/** The row in which the focus is. */
export const focusedRow = signal<string | null>(null);

const keyOf = (row: Row) => row.key;
const kindOf = (row: Row) => row.kind;

function attributes(row: Row): Record<string, string | undefined> {
  if (row.kind === 'lane') return {};
  if (row.kind === 'group') {
    void row.group.version.value;
    return { 'data-look': worstOf(row.group.looks), 'data-lane': row.group.lane };
  }
  const alert = shownAlert(row.item.entry);
  return {
    'data-look': look(alert.severity), 'data-state': alert.state, 'data-inner': row.isInGroup ? '' : undefined,
    'data-gone': row.item.entry.isGone.value ? '' : undefined,
  };
}

function render(row: Row) {
  if (row.kind === 'lane') return <LaneRow lane={row.lane} />;
  if (row.kind === 'group') return <GroupRow group={row.group} isOpen={row.isOpen} />;
  return <AlertRow item={row.item} isInGroup={row.isInGroup} />;
}

export function List() {
  const around = useRef<HTMLDivElement>(null);
  useEffect(() => watch(around.current!), []);
  const focus = (event: FocusEvent) => {
    focusedRow.value = (event.target as Element).closest<HTMLElement>('[data-key]')?.dataset.key ?? null;
  };
  return (
    <div ref={around} class="rows" data-empty={shown.rows.value.length === 0 ? '' : undefined} onFocusIn={focus} onFocusOut={() => { focusedRow.value = null; }}>
      {paging.signal.value ? <Pages /> : <Window rows={shown.rows.value} keyOf={keyOf} kindOf={kindOf} kinds={KINDS} attributes={attributes} render={render} kept={focusedRow} label={t('title')} class="alerts" />}
    </div>
  );
}

function Pages() {
  const rows = shown.rows.value;
  const of = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  const page = Math.min(pageNumber.value, of - 1);
  const begin = page * PAGE_ROWS;
  return (
    <>
      <ul class="alerts paged" aria-label={t('title')}>
        {rows.slice(begin, begin + PAGE_ROWS).map((row, index) => (
          <li key={row.key} class={`row ${row.kind}`} data-key={row.key} aria-setsize={rows.length} aria-posinset={begin + index + 1} {...attributes(row)}>{render(row)}</li>
        ))}
      </ul>
      {of > 1 && (
        <nav class="pager" aria-label={t('pages')}>
          <button type="button" disabled={page === 0} onClick={() => { pageNumber.value = page - 1; }}>{t('previous')}</button>
          <span>{t('page', { n: page + 1, of })}</span>
          <button type="button" disabled={page >= of - 1} onClick={() => { pageNumber.value = page + 1; }}>{t('next')}</button>
        </nav>
      )}
    </>
  );
}

// A strip of dots for each side: one for each event, placed by how late it was.

import { LEAST_MS, MOST_MS, placeOf, quantile } from './ledger.js';
import type { SideResult } from './run.js';
import { t } from './texts.js';

/** Dots lie in rows below one another, so that many of the same place are seen to be many. */
const ROWS = 5;
const ROW_HEIGHT = 7;
const FIRST_ROW = 8;

/** Latencies that the axis names. */
const MARKS = [1, 10, 100, 1_000, 10_000].filter((ms) => ms > LEAST_MS && ms < MOST_MS);

/** In percent of the width, with room for half a dot at both ends. */
const xOf = (ms: number) => `${1 + placeOf(ms) * 98}%`;

export const latencyText = (ms: number | null): string => {
  if (ms === null) return t('none');
  if (ms >= 1_000) return t('seconds', { n: Math.round(ms / 100) / 10 });
  return t('ms', { n: ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms) });
};

export function Strips({ sides }: { sides: readonly SideResult[] }) {
  return (
    <figure class="strips" aria-label={t('strip')}>
      {sides.map((side) => <Strip key={side.name} side={side} />)}
      <div class="strip" aria-hidden="true">
        <span />
        <div class="axis">{MARKS.map((ms) => <span key={ms} style={{ '--at': xOf(ms) }}>{latencyText(ms)}</span>)}</div>
      </div>
      <figcaption>{t('stripAbout')}</figcaption>
    </figure>
  );
}

function Strip({ side: { name, tally: { latencies } } }: { side: SideResult }) {
  const median = quantile(latencies, 0.5);
  return (
    <div class="strip" data-side={name}>
      <span class="name">{t(name)}</span>
      <svg aria-hidden="true">
        {MARKS.map((ms) => <line key={ms} class="mark" x1={xOf(ms)} x2={xOf(ms)} y1="0" y2="100%" />)}
        {latencies.map((ms, index) => <circle key={index} cx={xOf(ms)} cy={FIRST_ROW + (index % ROWS) * ROW_HEIGHT} r="3" />)}
        {median !== null && <line class="median" x1={xOf(median)} x2={xOf(median)} y1="2" y2="42" />}
      </svg>
    </div>
  );
}

// How sure the board is: good news only with its proof, and beside bad news what it stands on.

import { age } from '../format/age.js';
import { isTrouble, proof } from '../stores/proof.js';
import { totals } from '../stores/totals.js';
import { Sign } from '../ui/Sign.js';
import { doubtText, t } from '../shell/doubts.js';

/** What the board stands on: `41 rules · last sample 2 s ago`. */
export function groundText(): string {
  const { rules, sampleAgeMs, failing, isReloadFailing } = proof.value;
  return [
    t('rules', { n: rules }), t('sample', { age: age(sampleAgeMs ?? 0) }),
    failing > 0 && t('failing', { n: failing }), isReloadFailing && t('reload'),
  ].filter(Boolean).join(' · ');
}

function calmText(): string {
  const { muted } = totals.value;
  const calm = muted > 0 ? t('calmBut', { n: muted }) : proof.value.seesSome ? t('calmSome') : t('calm');
  return `${calm} · ${groundText()}`;
}

export function Calm() {
  const { doubt } = proof.value;
  if (totals.value.burning > 0) return <p class="ground figure">{doubt ? !isTrouble(doubt) && doubtText(proof.value) : groundText()}</p>;
  // What stands across the page is not said twice.
  const text = !doubt ? calmText() : isTrouble(doubt) ? t('noProof') : doubtText(proof.value);
  return (
    <p class="calm" data-calm={doubt ? 'unsure' : 'quiet'}>
      <Sign name={doubt ? 'unsure' : 'quiet'} /> <span>{text}</span>
    </p>
  );
}

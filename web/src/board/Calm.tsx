// How sure the board is: good news only with its proof, and beside bad news what it stands on.

import { age } from '../format/age.js';
import { isTrouble, proof } from '../stores/proof.js';
import { totals } from '../stores/totals.js';
import { Sign } from '../ui/Sign.js';
import { doubtText, t } from '../shell/doubts.js';

/** What the board stands on: `41 rules · last sample 2 s ago`. */
export function groundText(): string {
  const { rules, sampleAgeMs, failing, isReloadFailing, unused } = proof.value;
  return [
    t('rules', { n: rules }), t('sample', { age: age(sampleAgeMs ?? 0) }),
    unused > 0 && t('unused', { n: unused }), failing > 0 && t('failing', { n: failing }), isReloadFailing && t('reload'),
  ].filter(Boolean).join(' · ');
}

function calmText(): string {
  const { muted } = totals.value;
  const { seesSome } = proof.value;
  const calm = muted > 0 ? t(seesSome ? 'calmButSome' : 'calmBut', { n: muted }) : t(seesSome ? 'calmSome' : 'calm');
  return `${calm} · ${groundText()}`;
}

export function Calm() {
  const { doubt, failing, isReloadFailing } = proof.value;
  if (totals.value.burning > 0) return <p class="ground figure">{doubt ? !isTrouble(doubt) && doubtText(proof.value) : groundText()}</p>;
  // What stands across the page is not said twice.
  const text = !doubt ? calmText() : isTrouble(doubt) ? t('noProof') : doubtText(proof.value);
  const sign = doubt || failing > 0 || isReloadFailing ? 'unsure' : 'quiet';
  return (
    <p class="calm" data-calm={sign}>
      <Sign name={sign} /> <span>{text}</span>
    </p>
  );
}

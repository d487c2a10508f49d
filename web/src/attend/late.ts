// What is said where a part that is loaded when it is asked for does not come.

import { lookForVersion } from '../stores/version.js';
import { texts } from '../text/text.js';
import { announce } from '../ui/announce.js';

const t = texts({
  en: { failed: 'This part did not come: reload the page.' },
  de: { failed: 'Dieser Teil kam nicht an: Seite neu laden.' },
});

/** A tab of an older version asks for files that a newer server does not have: then it offers the newer one. */
export function partFailed(): void {
  announce(t('failed'));
  void lookForVersion();
}

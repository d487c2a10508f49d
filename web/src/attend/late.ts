// What is said where a part that is loaded when it is asked for does not come.

import { texts } from '../text/text.js';

const t = texts({
  en: { failed: 'This part did not come: reload the page.' },
  de: { failed: 'Dieser Teil kam nicht an: Seite neu laden.' },
});

export const partFailed = (): string => t('failed');

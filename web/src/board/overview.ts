// What the grid and the wall say besides what the list does.

import { texts } from '../text/text.js';

export const t = texts({
  en: {
    cells: 'By {label}', cell: '{name}: {what}', cellCalm: 'nothing fires', cellUnsure: 'none shown', live: 'Live', notConnected: 'Not connected', heldUp: 'Held up', heard: 'heard {age} ago',
    moreBelow: { one: 'and {n} more', other: 'and {n} more' },
  },
  de: {
    cells: 'Nach {label}', cell: '{name}: {what}', cellCalm: 'nichts ausgelöst', cellUnsure: 'keiner gezeigt', live: 'Live', notConnected: 'Nicht verbunden', heldUp: 'Steht still', heard: 'gehört vor {age}',
    moreBelow: { one: 'und {n} weiterer', other: 'und {n} weitere' },
  },
});

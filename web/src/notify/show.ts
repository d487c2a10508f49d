// One notification, in place of the one before it.

import { base } from '../stores/stream.js';
import { kindsBy } from './choices.js';
import { type Language, type Told, worded } from './words.js';
import { optionsOf } from './options.js';

export async function show(told: Told, language: Language): Promise<void> {
  const { title, ...more } = worded(told, language);
  // Who hears a tone of the page needs none of the system.
  const options = optionsOf({ title, ...more }, told, { isQuiet: kindsBy('sound').length > 0 });
  try {
    const worker = await navigator.serviceWorker?.getRegistration(base.href);
    // Telephones show those of a worker alone, and its click works when this page has gone.
    if (worker?.active) return await worker.showNotification(title, options);
    const shown = new Notification(title, options);
    shown.onclick = () => {
      window.focus();
      location.hash = more.address;
      shown.close();
    };
  } catch {
    // The browser does not show it after all; the page does.
  }
}

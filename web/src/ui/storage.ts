// What this browser keeps for its next visit. Storage may be full or forbidden: then it keeps things for
// as long as the page lives, and all goes on.

const PREFIX = 'bellwire-';

/** What could not be kept; it is newer than what the storage still has under its name. */
const held = new Map<string, string>();

export function recall(key: string): string | null {
  try {
    return held.get(key) ?? localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** Keeps a text; `null` forgets it. */
export function remember(key: string, value: string | null): void {
  held.delete(key);
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    if (value !== null) held.set(key, value);
  }
}

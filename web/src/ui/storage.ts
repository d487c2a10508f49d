// What this browser keeps for its next visit. Storage may be full or forbidden: then it keeps nothing,
// and all goes on.

const PREFIX = 'bellwire-';

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

/** Keeps a text; `null` forgets it. */
export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // It lasts for as long as the page does.
  }
}

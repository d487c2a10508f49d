// Where the tests' browser and server are, and how long they may take.

export const BINARY = process.env.BELLWIRE_BIN ?? '../../target/debug/bellwire';
export const CHROMIUM = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

/** Bounds how long a broken build can hang; nothing is measured against it. */
export const PATIENCE_MS = 60_000;

export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

// German texts that are not with the parts that show them, so that who reads English does not load them:
// when the pages are bundled, those of the first load are taken out.

type Tables = readonly Record<string, never>[];

let tables: Tables = [];

/** The tables that were taken out, by the numbers that they got. */
export const germanTexts = (): Tables => tables;

export async function loadGerman(): Promise<void> {
  tables = (await import('./german.js')).default;
}

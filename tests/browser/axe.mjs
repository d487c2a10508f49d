// What axe finds on a page, and what is too small to be touched.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** What WCAG 2.2 asks for at level AA, and what axe knows to be good besides. */
const RULES = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };
/** What may be touched is no smaller, in CSS pixels. */
const TARGET_MIN = 24;

export const VIEWS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  contrast: { viewport: { width: 1280, height: 800 }, contrast: 'more' },
  phone: { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true },
};

/** Has axe on the page, until it is left. */
export const bringAxe = async (page) => void await page.evaluate(await readFile(AXE, 'utf8'));

/** What axe finds, one line each. */
export async function faultsOf(page) {
  const { violations } = await page.evaluate((rules) => globalThis.axe.run(document, rules), RULES);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary.replaceAll('\n', ' ')}`));
}

/** What is smaller than a target, but for links within a sentence. */
export const smallOf = (page) => page.evaluate(smallTargets, TARGET_MIN);

/** How much wider than its window the page is. */
export async function excessOf(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  return Math.max(0, content - window);
}

/** On the page. */
function smallTargets(least) {
  const inLine = (element) => {
    if (getComputedStyle(element).display !== 'inline') return false;
    return element.parentElement.textContent.trim().length > element.textContent.trim().length;
  };
  // What stands within a label is touched with it.
  const area = (element) => (element.closest('label') ?? element).getBoundingClientRect();
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"][role]')]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('[aria-hidden="true"], .ruler') && !inLine(element))
    .map((element) => [element, area(element)])
    .filter(([, { width, height }]) => width > 2 && (width < least || height < least))
    .map(([element, { width, height }]) => `${element.outerHTML.slice(0, 120)} ${Math.round(width)}×${Math.round(height)}`);
}

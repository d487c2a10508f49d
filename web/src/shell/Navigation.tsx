// The way to all pages: as many links as there is room for, and a menu of the rest. The page that is
// shown always stands among the links.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { language, texts } from '../text/text.js';
import { Sheet } from '../ui/Sheet.js';
import { type Page, PAGES } from './pages.js';
import { address, route } from './router.js';

const t = texts({
  en: { pages: 'Pages', more: 'More', morePages: 'More pages' },
  de: { pages: 'Seiten', more: 'Mehr', morePages: 'Weitere Seiten' },
});

/** Between two links, as the style has it. */
const GAP = 2;

/** How many of `widths` fit into `room`, where the rest takes a menu of `menu` more. */
export function fitting(widths: readonly number[], room: number, menu: number): number {
  const whole = widths.reduce((sum, width) => sum + width + GAP, -GAP);
  if (whole <= room) return widths.length;
  let used = menu;
  let count = 0;
  for (const width of widths) {
    used += width + GAP;
    if (used > room) break;
    count += 1;
  }
  return count;
}

/** The first `count`, with the page that is shown among them. */
export function chosen<Item>(all: readonly Item[], count: number, isShown: (item: Item) => boolean): Item[] {
  const first = all.slice(0, count);
  const shown = all.find(isShown);
  if (!shown || first.includes(shown)) return first;
  return [...first.slice(0, Math.max(0, count - 1)), shown];
}

export function Navigation() {
  const listed = PAGES.filter(({ isListed = true }) => isListed);
  const bar = useRef<HTMLElement>(null);
  const ruler = useRef<HTMLUListElement>(null);
  const [count, setCount] = useState(listed.length);
  const measure = () => {
    const [links, menu] = widthsOf(ruler.current);
    if (bar.current && links) setCount(fitting(links, bar.current.clientWidth, menu + GAP));
  };
  useLayoutEffect(measure, [language.value, listed.length]);
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(bar.current!);
    observer.observe(ruler.current!);
    return () => observer.disconnect();
  }, []);
  const isShown = ({ name }: Page) => name === route.value.page;
  const links = chosen(listed, count, isShown);
  const rest = listed.filter((page) => !links.includes(page));
  return (
    <nav ref={bar} aria-label={t('pages')}>
      <ul class="links">
        {links.map((page) => <li key={page.name}><Link page={page} /></li>)}
        {rest.length > 0 && (
          <li>
            <Sheet class="more" button={<>{t('more')}<span class="arrow" aria-hidden="true" /></>} label={t('morePages')}>
              {(close) => <ul>{rest.map((page) => <li key={page.name}><Link page={page} onClick={close} /></li>)}</ul>}
            </Sheet>
          </li>
        )}
      </ul>
      <ul class="links ruler" ref={ruler} aria-hidden="true">
        {listed.map(({ name, title }) => <li key={name}><span class="link wide">{title()}</span></li>)}
        <li><span class="link">{t('more')}<span class="arrow" /></span></li>
      </ul>
    </nav>
  );
}

function Link({ page: { name, title }, onClick }: { page: Page; onClick?: () => void }) {
  return <a class="link" href={address(name)} aria-current={route.value.page === name ? 'page' : undefined} onClick={onClick}>{title()}</a>;
}

/** How wide the links are, and the menu. */
function widthsOf(ruler: HTMLElement | null): [number[] | null, number] {
  const widths = [...(ruler?.children ?? [])].map((item) => item.getBoundingClientRect().width);
  const menu = widths.pop() ?? 0;
  return widths.length > 0 ? [widths, menu] : [null, 0];
}

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

/** Which of `widths` fit into `room`, beside a menu of `menu` where not all do; `shown` is always among them. */
export function fitting(widths: readonly number[], room: number, menu: number, shown: number): number[] {
  const all = widths.map((_, index) => index);
  const whole = widths.reduce((sum, width) => sum + width + GAP, -GAP);
  if (whole <= room) return all;
  let left = room - menu - (shown >= 0 ? widths[shown]! + GAP : 0);
  let isFull = false;
  return all.filter((index) => {
    if (index === shown) return true;
    left -= widths[index]! + GAP;
    isFull ||= left < 0;
    return !isFull;
  });
}

export function Navigation() {
  const listed = PAGES.filter(({ isListed = true }) => isListed);
  const bar = useRef<HTMLElement>(null);
  const ruler = useRef<HTMLUListElement>(null);
  const shown = listed.findIndex(({ name }) => name === route.value.page);
  const [sizes, setSizes] = useState<Sizes>({ links: [], menu: 0, room: Infinity });
  const measure = () => {
    // It may be told of a size when it is gone already.
    if (bar.current && ruler.current) setSizes(sizesOf(bar.current, ruler.current));
  };
  useLayoutEffect(measure, [language.value, listed.length]);
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    observer.observe(bar.current!);
    observer.observe(ruler.current!);
    return () => observer.disconnect();
  }, []);
  const { links: widths, room, menu } = sizes;
  const fits = new Set(fitting(listed.map((_, index) => widths[index] ?? 0), room, menu, shown));
  const links = listed.filter((_, index) => fits.has(index));
  const rest = listed.filter((_, index) => !fits.has(index));
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

/** How wide the links are, the menu, and what there is room for. */
interface Sizes {
  links: number[];
  menu: number;
  room: number;
}

function sizesOf(bar: HTMLElement, ruler: HTMLElement): Sizes {
  const links = [...ruler.children].map((item) => item.getBoundingClientRect().width);
  const menu = (links.pop() ?? 0) + GAP;
  return { links, menu, room: bar.clientWidth };
}

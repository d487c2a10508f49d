// Style sheets of pages that come when they are asked for: the first load has none of them.

/** Has the document use a style sheet, from when its page is loaded on. */
export function adopt(css: string): void {
  if (typeof document === 'undefined') return;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

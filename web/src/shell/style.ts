// The style of all pages but the board, which comes with the first of them: the page names it.

let came: Promise<void> | null = null;

/** Resolves once it is there. Where it does not come the page is shown without: all of it can be read. */
export function pagesStyle(): Promise<void> {
  const link = document.getElementById('pages-style');
  if (!(link instanceof HTMLLinkElement)) return Promise.resolve();
  came ??= new Promise((resolve) => {
    link.addEventListener('load', () => resolve());
    link.addEventListener('error', () => resolve());
    // It has been fetched ahead, when there was nothing else to do.
    link.rel = 'stylesheet';
  });
  return came;
}

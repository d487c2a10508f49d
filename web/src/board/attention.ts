// Whether somebody is at the list: then nothing moves in it. They point at it, touch it, have the focus
// or a selection in it, or something is open above it.

import { computed, type ReadonlySignal, signal } from '@preact/signals';

/** Who crosses its edge may come right back. */
const LEAVE_MS = 300;
/** What a finger has pressed elsewhere is told after it: until then nothing may come under it. */
const ELSEWHERE_MS = 600;
/** A finger leaves no pointer behind: who has touched the list is still looking at it. */
const TOUCH_MS = 20_000;

const isPointed = signal(false);
const isTouched = signal(false);
const isFocused = signal(false);
const isSelected = signal(false);
const opened = signal(0);

export const isAttended: ReadonlySignal<boolean> = computed(
  () => isPointed.value || isTouched.value || isFocused.value || isSelected.value || opened.value > 0,
);

/** A menu or dialog is open, until what this gives is called. */
export function attend(): () => void {
  opened.value += 1;
  let isOpen = true;
  return () => {
    if (isOpen) opened.value -= 1;
    isOpen = false;
  };
}

/** Watches a list; gives what ends it. */
export function watch(list: HTMLElement): () => void {
  const ending = new AbortController();
  const listen = (target: EventTarget, type: string, run: (event: Event) => void) =>
    target.addEventListener(type, run, { signal: ending.signal, passive: true });
  let leaving: ReturnType<typeof setTimeout> | undefined;
  let touching: ReturnType<typeof setTimeout> | undefined;

  const point = (event: Event) => {
    if ((event as PointerEvent).pointerType === 'touch') return;
    clearTimeout(leaving);
    isPointed.value = true;
  };
  const leave = () => {
    clearTimeout(leaving);
    leaving = setTimeout(() => { isPointed.value = false; }, LEAVE_MS);
  };
  const touch = () => {
    clearTimeout(touching);
    isTouched.value = true;
    touching = setTimeout(() => { isTouched.value = false; }, TOUCH_MS);
  };
  for (const type of ['pointerenter', 'pointermove']) listen(list, type, point);
  listen(list, 'pointerleave', leave);
  listen(document.documentElement, 'pointerleave', leave);
  listen(list, 'touchstart', touch);
  listen(document, 'touchstart', ({ target }) => {
    if (list.contains(target as Node)) return;
    clearTimeout(touching);
    touching = setTimeout(() => { isTouched.value = false; }, ELSEWHERE_MS);
  });
  listen(document, 'scroll', () => isTouched.peek() && touch());
  const focus = () => { isFocused.value = list.contains(document.activeElement); };
  listen(document, 'focusin', focus);
  // The focus may go nowhere, which nothing tells but this.
  listen(document, 'focusout', () => setTimeout(focus));
  listen(document, 'selectionchange', () => {
    const selection = getSelection();
    isSelected.value = selection !== null && !selection.isCollapsed && selection.rangeCount > 0 && selection.getRangeAt(0).intersectsNode(list);
  });
  return () => {
    ending.abort();
    clearTimeout(leaving);
    clearTimeout(touching);
    for (const state of [isPointed, isTouched, isFocused, isSelected]) state.value = false;
  };
}

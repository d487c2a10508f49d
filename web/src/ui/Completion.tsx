// A field that offers what could stand at the caret. The list is the browser's focus order's business
// only while it is open; arrows choose, Enter and Tab take, Escape closes.

import { useSignal } from '@preact/signals';
import { useId, useRef } from 'preact/hooks';

export interface Option {
  text: string;
  /** What stands beside it, such as how many there are. */
  hint?: string;
  /** Beyond what it is written for: told to `take`. */
  value?: unknown;
}

interface Props {
  label: string;
  value: string;
  placeholder?: string;
  /** What could stand at the caret, the likeliest first; none where nothing fits. */
  options(caret: number): readonly Option[];
  input(value: string): void;
  take(option: Option, caret: number): { value: string; caret: number };
  /** Enter, with no option chosen. */
  enter(): void;
  /** Backspace at the very beginning. */
  back?(): void;
  describedBy?: string;
  isWrong?: boolean;
  of?: { current: HTMLInputElement | null };
}

export function Completion({ label, value, placeholder, options, input, take, enter, back, describedBy, isWrong, of }: Props) {
  const own = useRef<HTMLInputElement>(null);
  const field = of ?? own;
  const id = useId();
  const offered = useSignal<readonly Option[]>([]);
  const chosen = useSignal(-1);
  const caret = () => field.current?.selectionStart ?? value.length;
  const close = () => {
    offered.value = [];
    chosen.value = -1;
  };
  const offer = () => {
    offered.value = options(caret());
    chosen.value = -1;
  };
  const accept = (option: Option) => {
    const taken = take(option, caret());
    input(taken.value);
    // The field has the new text once it is shown.
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(taken.caret, taken.caret);
      offer();
    });
  };
  const press = (event: KeyboardEvent) => {
    const { length } = offered.value;
    if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && length === 0) offer();
    else if (event.key === 'ArrowDown') chosen.value = (chosen.value + 1) % length;
    else if (event.key === 'ArrowUp') chosen.value = (Math.max(chosen.value, 0) + length - 1) % length;
    else if ((event.key === 'Enter' || event.key === 'Tab') && offered.value[chosen.value] && !event.shiftKey) accept(offered.value[chosen.value]!);
    else if (event.key === 'Enter') {
      close();
      enter();
    } else if (event.key === 'Escape' && length > 0) close();
    else if (event.key === 'Backspace' && field.current?.selectionEnd === 0) return back?.();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="completion">
      <input
        ref={field} type="text" role="combobox" value={value} placeholder={placeholder} aria-label={label} aria-expanded={offered.value.length > 0}
        aria-controls={`${id}-list`} aria-autocomplete="list" aria-activedescendant={chosen.value >= 0 ? `${id}-${chosen.value}` : undefined}
        aria-describedby={describedBy} aria-invalid={isWrong || undefined}
        autocomplete="off" autocapitalize="none" spellcheck={false} maxLength={4096}
        onInput={(event) => {
          input(event.currentTarget.value);
          requestAnimationFrame(offer);
        }}
        onFocus={offer} onClick={offer} onBlur={close} onKeyDown={press}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={label} hidden={offered.value.length === 0}>
        {offered.value.map((option, index) => (
          <li
            key={option.text} id={`${id}-${index}`} role="option" aria-selected={index === chosen.value}
            ref={(element) => { if (index === chosen.value) element?.scrollIntoView({ block: 'nearest' }); }}
            // The field keeps the focus.
            onPointerDown={(event) => event.preventDefault()} onClick={() => accept(option)}
          >
            <bdi>{option.text}</bdi> {option.hint && <span class="figure">{option.hint}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

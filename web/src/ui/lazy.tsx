// A part that is loaded when it is shown first: what few look at costs nobody else its bytes.

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

type State<Props> = { part: ComponentType<Props> } | { fault: unknown } | null;

/** Stands for the part that `load` gives. Where it does not come the page around it is told by a throw. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let known: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const [state, setState] = useState<State<Props>>(known && { part: known });
    useEffect(() => {
      if (state) return;
      let isHere = true;
      load().then(
        (part) => {
          known = part;
          if (isHere) setState({ part });
        },
        (fault: unknown) => { if (isHere) setState({ fault }); },
      );
      return () => { isHere = false; };
    }, []);
    if (!state) return null;
    if ('fault' in state) throw state.fault;
    return <state.part {...props} />;
  };
}

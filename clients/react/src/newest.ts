// What a component was given last, for those who are called later.

import { type RefObject, useInsertionEffect, useRef } from 'react';

export function useNewest<Value>(value: Value): Readonly<RefObject<Value>> {
  const newest = useRef(value);
  // Before all effects that may call it, and not for a rendering that comes to nothing.
  useInsertionEffect(() => {
    newest.current = value;
  });
  return newest;
}

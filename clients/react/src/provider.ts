// Which server the components below follow.

import { Client, type ClientOptions, type TokenSource } from '@bellwire/client';
import { createContext, createElement, type ReactElement, type ReactNode, useContext, useState } from 'react';
import { useNewest } from './newest.js';
import { type Store, storeOf } from './store.js';

export interface BellwireProviderProps {
  /** The server's address; in a page it may be relative to that. Another one is another client. */
  url?: string | URL;
  /**
   * A token or API key, or a function that gives one. Another text is another client, and so is a
   * function in place of none; of functions the newest is asked, and a new one with each render changes
   * nothing.
   */
  token?: TokenSource | undefined;
  /** The client's other options, as they are when it is made. */
  options?: Omit<ClientOptions, 'token'>;
  /** In place of all these: a client of the application's own. */
  client?: Client;
  children?: ReactNode;
}

/** A client that a provider has made, and of what. */
interface Made {
  client: Client;
  address: string;
  /** Its text, or whether a function gives it. */
  token: string | boolean;
}

/** Where nothing is relative to a page: nobody asks anything there. */
const NO_PAGE = 'http://there-is-no-page.invalid';

const Context = createContext<Store | null>(null);

/** Gives the components below the server that they follow. It connects to nothing by itself. */
export function BellwireProvider({ url, token, options, client, children }: BellwireProviderProps): ReactElement {
  const newest = useNewest(token);
  const address = String(url ?? '');
  const kind = typeof token === 'string' ? token : token !== undefined;
  const make = (): Made => {
    if (url === undefined) throw new TypeError('BellwireProvider needs a `url`, or a `client`');
    const source = () => (typeof newest.current === 'function' ? newest.current() : newest.current ?? null);
    const shown = token === undefined ? {} : { token: typeof token === 'string' ? token : source };
    // A server renders for pages whose address it does not know.
    const place = typeof location === 'undefined' ? new URL(address, NO_PAGE) : address;
    return { client: new Client(place, { ...options, ...shown }), address, token: kind };
  };
  const [made, setMade] = useState(() => (client ? null : make()));
  let current = made;
  if (!client && (made?.address !== address || made.token !== kind)) setMade((current = make()));
  return createElement(Context.Provider, { value: storeOf(client ?? current!.client) }, children);
}

export function useStore(): Store {
  const store = useContext(Context);
  if (!store) throw new TypeError('there is no BellwireProvider above the component');
  return store;
}

/** The client, to publish with, and for all else that it does. */
export function useClient(): Client {
  return useStore().client;
}

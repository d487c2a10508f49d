// Files that are bundled as they are: their address.

declare module '*.svg' {
  const address: string;
  export default address;
}

// A style sheet as text, for a page that brings its own: `with { type: 'text' }`.

declare module '*.css' {
  const text: string;
  export default text;
}

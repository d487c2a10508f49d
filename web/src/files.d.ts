// Files that are bundled as they are: their address.

declare module '*.svg' {
  const address: string;
  export default address;
}

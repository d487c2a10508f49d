// A name that breaks where its words do, rather than in the midst of one.

const BOUNDARY = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=[_\-./:=,])/u;
/** What is longer is no name that somebody reads by its words. */
const LENGTH_MAX = 200;

export function Breakable({ text }: { text: string }) {
  if (text.length > LENGTH_MAX) return <>{text}</>;
  return <>{text.split(BOUNDARY).flatMap((part, index) => (index > 0 ? [<wbr key={index} />, part] : [part]))}</>;
}

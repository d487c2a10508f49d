// What filters let through, as the server has it.

/** Which topics filters let through. */
export function topicsOf(filters: readonly string[]): RegExp {
  const parts = filters.map((filter) => {
    const segments = filter.split('/').map((segment) => (segment === '*' ? '[^/]+' : segment.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')));
    const isOpen = filter.endsWith('**') && segments.pop() !== undefined;
    const rest = isOpen ? (segments.length ? '(?:/[^]*)?' : '[^]*') : '';
    // A wildcard at the beginning lets nothing through that has to be asked for.
    return (filter[0] === '*' ? '(?!\\$|query/|presence/)' : '') + segments.join('/') + rest;
  });
  return new RegExp(`^(?:${parts.join('|')})$`);
}

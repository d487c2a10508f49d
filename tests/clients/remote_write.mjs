// Prometheus' remote write 1.0, by hand: a test says exactly which samples are sent, and when they are of.

/** What a request says of itself. */
export const REMOTE_WRITE = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

/** The value that says that a series has ended. */
export const STALE = Symbol('stale');

const STALE_BITS = 0x7ff0000000000002n;

/** Bytes of a piece that is not compressed. */
const PIECE_BYTES = 65_536;

/** A request with these samples, each its labels and its value, of one time in milliseconds. */
export function writeRequest(samples, time) {
  const series = samples.map(([labels, value]) => {
    const pairs = Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));
    const fields = pairs.map(([name, text]) => field(1, [field(1, utf8(name)), field(2, utf8(text))]));
    const number = Buffer.alloc(8);
    if (value === STALE) number.writeBigUInt64LE(STALE_BITS);
    else number.writeDoubleLE(value);
    const sample = [Buffer.from([1 << 3 | 1]), number, Buffer.from([2 << 3]), varint(time)];
    return field(1, [...fields, field(2, sample)]);
  });
  return snappy(Buffer.concat(series));
}

const utf8 = (text) => [Buffer.from(text)];

/** A field with what it holds, whose length stands before it. */
function field(number, parts) {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([number << 3 | 2]), varint(content.length), content]);
}

function varint(number) {
  const bytes = [];
  let left = BigInt(number);
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return Buffer.from([...bytes, Number(left)]);
}

/** Snappy's block format, with nothing compressed. */
function snappy(content) {
  const parts = [varint(content.length)];
  for (let start = 0; start < content.length; start += PIECE_BYTES) {
    const piece = content.subarray(start, start + PIECE_BYTES);
    const tag = Buffer.from([61 << 2, 0, 0]);
    tag.writeUInt16LE(piece.length - 1, 1);
    parts.push(tag, piece);
  }
  return Buffer.concat(parts);
}

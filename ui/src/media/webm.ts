// Live WebM in the form of Ahoy's muxer, byte for byte: for streams that get other timestamps, tests, and the pictures of
// scripted scenarios.

/** An id, and how many bytes follow it. */
function header(id: number[], size: number): number[] {
  let length = 1;
  while (size >= 2 ** (7 * length) - 1) length += 1;
  const bytes = Array.from({ length }, (_, i) => Math.floor(size / 256 ** (length - 1 - i)) % 256);
  bytes[0] = (bytes[0] ?? 0) | (0x80 >> (length - 1));
  return [...id, ...bytes];
}

function element(id: number[], body: number[]): number[] {
  return [...header(id, body.length), ...body];
}

function unsigned(value: number): number[] {
  const bytes = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return bytes.length ? bytes : [0];
}

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

/** EBML header, and the start of a segment of unknown size with its one VP8 track. */
export function initSegment(width: number, height: number): Uint8Array {
  const ebml = [
    ...element([0x42, 0x86], [1]),
    ...element([0x42, 0xf7], [1]),
    ...element([0x42, 0xf2], [4]),
    ...element([0x42, 0xf3], [8]),
    ...element([0x42, 0x82], ascii('webm')),
    ...element([0x42, 0x87], [2]),
    ...element([0x42, 0x85], [2]),
  ];
  const info = [
    ...element([0x2a, 0xd7, 0xb1], unsigned(1_000_000)),
    ...element([0x4d, 0x80], ascii('Ahoy')),
    ...element([0x57, 0x41], ascii('Ahoy')),
  ];
  const video = [...element([0xb0], unsigned(width)), ...element([0xba], unsigned(height))];
  const track = [
    ...element([0xd7], [1]),
    ...element([0x73, 0xc5], [1]),
    ...element([0x83], [1]),
    ...element([0x9c], [0]),
    ...element([0x86], ascii('V_VP8')),
    ...element([0xe0], video),
  ];
  return new Uint8Array([
    ...element([0x1a, 0x45, 0xdf, 0xa3], ebml),
    ...[0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ...element([0x15, 0x49, 0xa9, 0x66], info),
    ...element([0x16, 0x54, 0xae, 0x6b], element([0xae], track)),
  ]);
}

/** One frame as a cluster. */
export function cluster(frame: Uint8Array, key: boolean, timestampMs: number): Uint8Array {
  const time = element([0xe7], unsigned(timestampMs));
  const block = [...header([0xa3], 4 + frame.length), 0x81, 0, 0, key ? 0x80 : 0];
  const start = [...header([0x1f, 0x43, 0xb6, 0x75], time.length + block.length + frame.length), ...time, ...block];
  const whole = new Uint8Array(start.length + frame.length);
  whole.set(start);
  whole.set(frame, start.length);
  return whole;
}

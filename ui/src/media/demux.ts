// Reads live WebM as Ahoy's own muxer writes it (crates/media/src/webm/mux.rs): one VP8 track, clusters of one
// SimpleBlock, several segments in a row where a stream began anew. Bytes come in any portions and may be anything:
// what is not such a stream ends in a DemuxError, never in a hang or in memory without bound.

/** Element ids with their length marker (RFC 8794 section 11, RFC 9559 section 5.1). */
const Id = {
  ebml: 0x1a45dfa3,
  docType: 0x4282,
  segment: 0x18538067,
  info: 0x1549a966,
  timestampScale: 0x2ad7b1,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  codecId: 0x86,
  video: 0xe0,
  pixelWidth: 0xb0,
  pixelHeight: 0xba,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
} as const;

const TIMESTAMP_SCALE_MS = 1_000_000;
const FLAG_KEY = 0x80;
const LACING = 0x06;
const BLOCK_HEADER_LEN = 4;
/** The largest element that is taken whole: far over a key frame of the largest picture that is sent. */
export const ELEMENT_MAX = 8 << 20;
const SIDE_MAX = 4096;

export class DemuxError extends Error {
  override name = 'DemuxError';
}

export interface Frame {
  /** Since the stream's start. */
  timestampMs: number;
  key: boolean;
  /** The VP8 frame. Valid until the next push. */
  data: Uint8Array;
  /** Another one where a new segment began. */
  track: Track;
}

export interface Track {
  width: number;
  height: number;
}

interface Header {
  id: number;
  /** null: unknown, until its parent ends. */
  size: number | null;
  length: number;
}

type State = 'start' | 'segment' | 'track' | 'clusters' | 'cluster';

const EMPTY = new Uint8Array(0);
const KNOWN: ReadonlySet<number> = new Set([
  Id.ebml,
  Id.segment,
  Id.info,
  Id.tracks,
  Id.cluster,
  Id.timestamp,
  Id.simpleBlock,
]);

export class Demuxer {
  #buffer: Uint8Array = EMPTY;
  #at = 0;
  /** Bytes yet to come of an element that is of no interest. */
  #skip = 0;
  #state: State = 'start';
  #trackNumber = 0;
  #track: Track | null = null;
  #clusterLeft = 0;
  #clusterMs: number | null = null;
  #frames: Frame[] = [];

  /** The track of the newest segment, once it was read. */
  get track(): Track | null {
    return this.#track;
  }

  /** Bytes that are kept until the rest of their element arrives. */
  get pending(): number {
    return this.#buffer.length - this.#at;
  }

  /** Takes the next bytes and gives the frames that are whole with them. After an error the stream cannot be read on. */
  push(bytes: Uint8Array): Frame[] {
    // The usual portion is a whole cluster: it is read where it lies.
    this.#buffer = this.pending === 0 ? bytes : joined(this.#buffer.subarray(this.#at), bytes);
    this.#at = 0;
    this.#frames = [];
    while (this.#element());
    if (this.pending === 0) [this.#buffer, this.#at] = [EMPTY, 0];
    return this.#frames;
  }

  /** Enters, reads or skips one element; false when more bytes are needed for that. */
  #element(): boolean {
    const skipped = Math.min(this.#skip, this.pending);
    this.#at += skipped;
    this.#skip -= skipped;
    if (this.#skip > 0) return false;
    const header = parseHeader(this.#buffer, this.#at);
    if (header === null) return false;

    if (header.id === Id.segment && this.#state === 'segment') {
      this.#at += header.length;
      this.#state = 'track';
      return true;
    }
    if (header.id === Id.cluster && this.#state === 'clusters') {
      if (header.size === null || header.size === 0) throw impossible(header);
      this.#at += header.length;
      this.#clusterLeft = header.size;
      this.#clusterMs = null;
      this.#state = 'cluster';
      return true;
    }
    return this.#leaf(header);
  }

  #leaf(header: Header): boolean {
    const { id, size, length } = header;
    if (size === null) throw impossible(header);
    if (this.#state === 'cluster' && size + length > this.#clusterLeft) throw impossible(header);

    const inCluster = this.#state === 'cluster';
    if (this.#isRead(id)) {
      if (size > ELEMENT_MAX) throw impossible(header);
      if (this.pending < length + size) return false;
      const from = this.#at + length;
      this.#at = from + size;
      this.#read(id, this.#buffer.subarray(from, this.#at));
    } else {
      if (KNOWN.has(id) || this.#state === 'start' || this.#state === 'segment') {
        throw new DemuxError(`element 0x${id.toString(16)} is out of place`);
      }
      this.#at += length;
      this.#skip = size;
    }
    if (inCluster) {
      this.#clusterLeft -= length + size;
      if (this.#clusterLeft === 0) this.#state = 'clusters';
    }
    return true;
  }

  /** Whether an element is read whole at this place. */
  #isRead(id: number): boolean {
    switch (this.#state) {
      case 'start':
      case 'clusters':
        return id === Id.ebml;
      case 'segment':
        return false;
      case 'track':
        return id === Id.info || id === Id.tracks;
      case 'cluster':
        return id === Id.timestamp || id === Id.simpleBlock;
    }
  }

  #read(id: number, body: Uint8Array): void {
    switch (id) {
      case Id.ebml:
        if (text(child(body, Id.docType)) !== 'webm') throw new DemuxError('not a WebM document');
        this.#state = 'segment';
        return;
      case Id.info: {
        const scale = child(body, Id.timestampScale);
        if (scale && unsigned(scale) !== TIMESTAMP_SCALE_MS) throw new DemuxError('timestamps not in milliseconds');
        return;
      }
      case Id.tracks:
        this.#readTrack(child(body, Id.trackEntry));
        this.#state = 'clusters';
        return;
      case Id.timestamp:
        this.#clusterMs = unsigned(body);
        return;
      case Id.simpleBlock:
        this.#readBlock(body);
    }
  }

  #readTrack(entry: Uint8Array | null): void {
    const video = entry && child(entry, Id.video);
    if (!entry || !video || text(child(entry, Id.codecId)) !== 'V_VP8') throw new DemuxError('no VP8 track');
    const [number, width, height] = [
      child(entry, Id.trackNumber),
      child(video, Id.pixelWidth),
      child(video, Id.pixelHeight),
    ].map((element) => (element ? unsigned(element) : 0)) as [number, number, number];
    const sides = [width, height];
    // A block names its track in one byte here.
    if (number < 1 || number > 126 || sides.some((side) => side < 1 || side > SIDE_MAX)) {
      throw new DemuxError('a track without a number or size that can be');
    }
    this.#trackNumber = number;
    this.#track = { width, height };
  }

  /** Track number, timestamp relative to the cluster, flags, frame (RFC 9559 section 10.2). */
  #readBlock(body: Uint8Array): void {
    if (this.#clusterMs === null || this.#track === null) throw new DemuxError('a block before its timestamp');
    const [track, high, low, flags] = body;
    if (flags === undefined || body.length === BLOCK_HEADER_LEN) throw new DemuxError('a block without a frame');
    if (track !== (0x80 | this.#trackNumber) || (flags & LACING) !== 0) throw new DemuxError('a block of another kind');
    const offset = (((high as number) << 8) | (low as number)) << 16 >> 16;
    this.#frames.push({
      timestampMs: this.#clusterMs + offset,
      key: (flags & FLAG_KEY) !== 0,
      data: body.subarray(BLOCK_HEADER_LEN),
      track: this.#track,
    });
  }
}

/** Id and size at `at`, or null when more bytes are needed (RFC 8794 sections 5 and 6). */
function parseHeader(data: Uint8Array, at: number): Header | null {
  const idLength = vintLength(data[at], 4);
  if (idLength === null) return null;
  const sizeLength = vintLength(data[at + idLength], 8);
  const length = idLength + (sizeLength ?? 0);
  if (sizeLength === null || data.length < at + length) return null;
  const id = unsigned(data.subarray(at, at + idLength));
  const first = data[at + idLength] as number;
  const rest = data.subarray(at + idLength + 1, at + length);
  const marker = 0x80 >> (sizeLength - 1);
  // All bits set: unknown.
  const unknown = (first & (marker - 1)) === marker - 1 && rest.every((byte) => byte === 0xff);
  const size = rest.reduce((value, byte) => value * 256 + byte, first & (marker - 1));
  return { id, size: unknown ? null : size, length };
}

function vintLength(first: number | undefined, most: number): number | null {
  if (first === undefined) return null;
  const length = Math.clz32(first) - 23;
  if (length > most) throw new DemuxError('no element where one must start');
  return length;
}

/** Exact up to 2^53; what is larger is refused by everybody who asks for less. */
function unsigned(bytes: Uint8Array): number {
  if (bytes.length > 8) throw new DemuxError('a number of more than 8 bytes');
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** The body of the first child with that id, of an element that is wholly there. */
function child(body: Uint8Array, id: number): Uint8Array | null {
  let at = 0;
  for (;;) {
    const header = parseHeader(body, at);
    if (header === null || header.size === null) return null;
    const from = at + header.length;
    at = from + header.size;
    if (at > body.length) return null;
    if (header.id === id) return body.subarray(from, at);
  }
}

const text = (bytes: Uint8Array | null) => (bytes ? String.fromCharCode(...bytes.subarray(0, 32)) : null);

/** One after the other, in memory of their own. */
export function joined(...portions: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(portions.reduce((length, portion) => length + portion.length, 0));
  let at = 0;
  for (const portion of portions) {
    whole.set(portion, at);
    at += portion.length;
  }
  return whole;
}

function impossible({ id, size }: Header): DemuxError {
  return new DemuxError(`element 0x${id.toString(16)} has an impossible size of ${size ?? 'unknown'} bytes`);
}

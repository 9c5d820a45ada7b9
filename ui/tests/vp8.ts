import { execFileSync } from 'node:child_process';

import { cluster, initSegment } from '../src/media/webm';

export const FPS = 30;
const IVF_HEADER = 32;
const IVF_FRAME_HEADER = 12;

/** Colours one after the other, a second each, as ffmpeg encodes them in VP8: one frame an entry. */
export function colours(names: string[], width: number, height: number): Uint8Array[] {
  const inputs = names.flatMap((name) => ['-f', 'lavfi', '-i', `color=${name}:s=${width}x${height}:r=${FPS}:d=1`]);
  const codec = ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '600k', '-g', '9999', '-auto-alt-ref', '0'];
  const ivf = execFileSync(
    'ffmpeg',
    ['-loglevel', 'error', '-threads', '1', ...inputs, '-filter_complex', `concat=n=${names.length}`, ...codec, '-f', 'ivf', '-'],
    { maxBuffer: 64 << 20 },
  );
  const frames = [];
  for (let at = IVF_HEADER; at + IVF_FRAME_HEADER < ivf.length; ) {
    const from = at + IVF_FRAME_HEADER;
    at = from + ivf.readUInt32LE(at);
    frames.push(new Uint8Array(ivf.subarray(from, at)));
  }
  return frames;
}

/** A stream that grows in real time from its first reader on, as the hub of the shell serves it. */
export class LiveStream {
  readonly #clusters: Uint8Array[];
  readonly #init: Uint8Array;
  #began = 0;
  reads = 0;

  constructor(frames: Uint8Array[], width: number, height: number) {
    this.#init = initSegment(width, height);
    // The lowest bit of a VP8 frame is 0 in key frames (RFC 6386 section 9.1).
    this.#clusters = frames.map((frame, index) => cluster(frame, ((frame[0] ?? 1) & 1) === 0, Math.round((index * 1000) / FPS)));
  }

  async read(after: string | null): Promise<{ body: Uint8Array; next: string }> {
    this.reads += 1;
    this.#began ||= Date.now();
    const from = after === null ? 0 : Number(after);
    const due = () => Math.min(this.#clusters.length, Math.floor(((Date.now() - this.#began) * FPS) / 1000) + 1);
    while (due() <= from) await new Promise((resolve) => setTimeout(resolve, 1000 / FPS));
    const to = due();
    const parts = [...(after === null ? [this.#init] : []), ...this.#clusters.slice(from, to)];
    return { body: new Uint8Array(Buffer.concat(parts)), next: String(to) };
  }
}

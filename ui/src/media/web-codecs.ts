import { Demuxer } from './demux';
import type { MakePicture, Picture } from './player';

/**
 * Frames that may be inside the decoder, besides those that came at once: who joins late gets everything since the last
 * key frame. More means that it is slower than the stream: it is started anew then.
 */
const QUEUE_MAX = 15;
/** Decoders that fail one after the other without a picture between them. */
const RESTARTS_MAX = 5;

/** Paints the newest frame when the page is next drawn, and forgets older ones unpainted. */
export class NewestFrame {
  #frame: VideoFrame | null = null;
  #request = 0;

  constructor(private readonly paint: (frame: VideoFrame) => void) {}

  show(frame: VideoFrame): void {
    this.#frame?.close();
    this.#frame = frame;
    this.#request ||= requestAnimationFrame(() => {
      this.#request = 0;
      const newest = this.#frame;
      this.#frame = null;
      if (!newest) return;
      try {
        this.paint(newest);
      } finally {
        // A frame that is not closed keeps a buffer of the decoder, and after a few of them it stands still.
        newest.close();
      }
    });
  }

  drop(): void {
    cancelAnimationFrame(this.#request);
    this.#request = 0;
    this.#frame?.close();
    this.#frame = null;
  }
}

/** Down to this share of its width and height, a picture is painted whole, and made to fit when the page is put together. */
const PAINTED_WHOLE = 0.5;

/**
 * The pixels to paint for a picture shown in a box: in a small one as many as are seen, else all that there are. Painting is
 * the dearest part of a call in a webview without a GPU, and scaling twice the dearest of that: at 0.8 of 1280x720 a picture was
 * seen after 56 to 69 ms painted whole, and after 119 to 145 ms scaled (two windows on two cores).
 */
export function paintedSize(
  frame: { width: number; height: number },
  box: { width: number; height: number },
  pixelRatio: number,
): { width: number; height: number } {
  const fit = Math.min((box.width * pixelRatio) / frame.width, (box.height * pixelRatio) / frame.height);
  const scale = fit > 0 && fit <= PAINTED_WHOLE ? fit : 1;
  return { width: Math.max(1, Math.round(frame.width * scale)), height: Math.max(1, Math.round(frame.height * scale)) };
}

/** VideoDecoder into a 2D canvas. */
export const webCodecsPicture: MakePicture = (onState): Picture => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { alpha: false });
  const demuxer = { current: new Demuxer() };
  const box = { width: 0, height: 0 };
  let playing = false;
  let restarts = 0;
  let wantsKey = true;
  /** The most frames that came at once and may still be inside the decoder. */
  let backlog = 0;
  let decoder: VideoDecoder | null = null;

  const observer = new ResizeObserver(([entry]) => {
    if (entry) Object.assign(box, { width: entry.contentRect.width, height: entry.contentRect.height });
  });
  observer.observe(canvas);

  const newest = new NewestFrame((frame) => {
    const { displayWidth: width, displayHeight: height } = frame;
    const painted = paintedSize({ width, height }, box, devicePixelRatio);
    // Setting a canvas's size clears it even if it stays the same.
    if (canvas.width !== painted.width) canvas.width = painted.width;
    if (canvas.height !== painted.height) canvas.height = painted.height;
    context?.drawImage(frame, 0, 0, painted.width, painted.height);
    restarts = 0;
    if (playing) return;
    performance.mark('ahoy-first-picture');
    playing = true;
    onState('playing');
  });

  const closeDecoder = () => {
    if (decoder && decoder.state !== 'closed') decoder.close();
    decoder = null;
    wantsKey = true;
  };

  const openDecoder = (): VideoDecoder => {
    const opened = new VideoDecoder({
      output: (frame) => newest.show(frame),
      error: () => {
        if (decoder === opened) decoder = null;
        wantsKey = true;
      },
    });
    opened.configure({ codec: 'vp8', optimizeForLatency: true });
    return opened;
  };

  return {
    element: canvas,
    reset() {
      demuxer.current = new Demuxer();
      closeDecoder();
    },
    push(bytes) {
      const frames = demuxer.current.push(bytes);
      const inside = decoder?.decodeQueueSize ?? 0;
      if (inside > QUEUE_MAX + backlog) {
        closeDecoder();
        throw new Error('the decoder is slower than the stream');
      }
      backlog = Math.max(inside > QUEUE_MAX ? backlog : 0, frames.length);
      for (const { timestampMs, key, data } of frames) {
        if (wantsKey && !key) continue;
        if (!decoder) {
          restarts += 1;
          if (restarts > RESTARTS_MAX) throw new Error('the decoder takes nothing of this stream');
          decoder = openDecoder();
        }
        wantsKey = false;
        decoder.decode(
          new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp: Math.round(timestampMs * 1000), data }),
        );
      }
      // Nothing can be decoded until a key frame comes, and reading anew asks the sender for one.
      if (wantsKey) throw new Error('no key frame');
    },
    ended: () => {},
    close() {
      observer.disconnect();
      newest.drop();
      closeDecoder();
      // Frees the pixels now: a detached canvas may live until the next collection.
      canvas.width = canvas.height = 0;
    },
  };
};

import type { Ipc } from '../ipc/ipc';

/** Waits between reads after failures. A long poll that fails six times in a row has no other side any more. */
const RETRY_MS = [50, 100, 200, 400, 800];

export type StreamEnd = 'end' | 'unknown' | 'failed';

export interface StreamSink {
  /** The next bytes of the stream. Throws where they are of no use: the stream is then read anew, from a key frame. */
  push(bytes: Uint8Array): void | Promise<void>;
  /** The stream starts anew: the next bytes are an initialisation segment. */
  reset(): void;
  ended(how: StreamEnd): void;
}

export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/**
 * Reads one stream by long polls until it ends or `signal` aborts. One read is open at any time; the next starts as
 * soon as the bytes of the last one are handed on.
 */
export async function readStream(
  ipc: Pick<Ipc, 'readMedia'>,
  stream: string,
  sink: StreamSink,
  signal: AbortSignal,
  sleep: Sleep = abortableSleep,
): Promise<void> {
  let after: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const chunk = await ipc.readMedia(stream, after, signal);
      if (signal.aborted) return;
      if (chunk.type !== 'media') return sink.ended(chunk.type);
      if (after === null) sink.reset();
      after = chunk.next;
      await sink.push(chunk.body);
      // Without a cursor every answer starts anew, and the shell is not the one that this page was built for.
      if (after === null) throw new Error('media stream gave no cursor');
      failures = 0;
    } catch {
      if (signal.aborted) return;
      const wait = RETRY_MS[failures];
      if (wait === undefined) return sink.ended('failed');
      failures += 1;
      after = null;
      await sleep(wait, signal);
    }
  }
}

function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}

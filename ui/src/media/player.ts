import type { Ipc } from '../ipc/ipc';
import { mediaSourcePicture } from './media-source';
import { readStream, type StreamEnd, type StreamSink } from './reader';
import { webCodecsPicture } from './web-codecs';

export type PictureState =
  /** Nothing was painted yet. */
  | 'waiting'
  | 'playing'
  | 'ended'
  /** The stream broke, or there never was one. */
  | 'failed'
  /** This webview decodes no VP8. */
  | 'no-decoder';

/** Something that turns the bytes of a stream into pictures in an element. */
export interface Picture extends StreamSink {
  element: HTMLElement;
  close(): void;
}

export type MakePicture = (onState: (state: PictureState) => void) => Picture;

/** One stream on screen. Its element can move in the document without the stream starting anew. */
export interface Player {
  element: HTMLElement;
  stop(): void;
}

export interface PlayerOptions {
  ipc: Pick<Ipc, 'readMedia'>;
  stream: string;
  onState: (state: PictureState) => void;
}

const MIME = 'video/webm; codecs="vp8"';

export type Means = 'web-codecs' | 'media-source';

/** What this webview decodes VP8 with: WebCodecs, which has half the delay, else MediaSource. */
export async function findMeans(scope: typeof globalThis = globalThis): Promise<Means | null> {
  if (typeof scope.VideoDecoder === 'function' && typeof scope.EncodedVideoChunk === 'function') {
    const support = await scope.VideoDecoder.isConfigSupported({ codec: 'vp8' }).catch(() => null);
    if (support?.supported) return 'web-codecs';
  }
  if (typeof scope.MediaSource === 'function' && scope.MediaSource.isTypeSupported(MIME)) return 'media-source';
  return null;
}

let means: Promise<Means | null> | undefined;

/** What the page shows of a new call is painted before its decoder is looked for. */
const PAINTED_MS = 50;

/**
 * Looks for the decoder before it is needed. The first look takes WebKit half a second, in which the page stands still
 * (measured on two cores): there is time for that while a call rings, and none once it is answered.
 */
export function prepare(): void {
  means ??= new Promise<void>((resolve) => setTimeout(resolve, PAINTED_MS)).then(() => findMeans());
}

/** Plays a stream. `null`: this webview cannot. */
export async function play({ ipc, stream, onState }: PlayerOptions, use?: Means): Promise<Player | null> {
  const chosen = use ?? (await (means ??= findMeans()));
  if (chosen === null) {
    onState('no-decoder');
    return null;
  }
  const make: MakePicture = chosen === 'web-codecs' ? webCodecsPicture : (report) => mediaSourcePicture(report, MIME);
  return start(ipc, stream, make, onState);
}

/** Reads while the page can be seen: nobody gains by decoding for a hidden window. */
export function start(
  ipc: Pick<Ipc, 'readMedia'>,
  stream: string,
  make: MakePicture,
  onState: PlayerOptions['onState'],
  visibility: Visibility = pageVisibility,
): Player {
  const picture = make(onState);
  let reading: AbortController | null = null;
  let over = false;
  const sink: StreamSink = {
    push: (bytes) => picture.push(bytes),
    reset: () => picture.reset(),
    ended(how: StreamEnd) {
      over = true;
      picture.ended(how);
      onState(how === 'end' ? 'ended' : 'failed');
    },
  };
  const follow = () => {
    if (visibility.visible() && !reading && !over) {
      reading = new AbortController();
      void readStream(ipc, stream, sink, reading.signal);
    } else if (!visibility.visible()) {
      reading?.abort();
      reading = null;
    }
  };
  const unwatch = visibility.watch(follow);
  follow();
  return {
    element: picture.element,
    stop() {
      unwatch();
      reading?.abort();
      picture.close();
    },
  };
}

export interface Visibility {
  visible(): boolean;
  watch(changed: () => void): () => void;
}

const pageVisibility: Visibility = {
  visible: () => document.visibilityState === 'visible',
  watch(changed) {
    document.addEventListener('visibilitychange', changed);
    return () => document.removeEventListener('visibilitychange', changed);
  },
};

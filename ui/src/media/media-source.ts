import { DemuxError, Demuxer, joined, type Track } from './demux';
import type { MakePicture, Picture } from './player';
import { Timeline } from './timeline';
import { cluster, initSegment } from './webm';

/** Seconds kept behind the picture. */
const KEEP = 2;
/** Portions that wait for the buffer. More means it is stuck, and the stream is read anew. */
const WAITING_MAX = 120;
/** Portions that may come while the element stands still: it starts, or a busy machine has no time for it. */
const STILL_MAX = 150;

/**
 * Up to where the buffer may be cut, or null. A cut goes on to the next key frame (Media Source Extensions, coded frame
 * removal), so it is made exactly at one: anywhere else it would take the pictures that are being shown.
 */
export function trimEnd(keys: number[], start: number, now: number): number | null {
  const key = keys.findLast((time) => time <= now - KEEP);
  return key !== undefined && key > start ? key : null;
}

/** MediaSource into a video element, held at the live edge by the times that its frames are given. */
export const mediaSourcePicture = (onState: Parameters<MakePicture>[0], mime: string): Picture => {
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = true;

  let demuxer = new Demuxer();
  let timeline = new Timeline();
  let track: Track | null = null;
  let source: MediaSource | null = null;
  let buffer: SourceBuffer | null = null;
  let url = '';
  let waiting: Uint8Array[] = [];
  /** Times of key frames in the buffer, in the element's seconds, rising. */
  let keys: number[] = [];
  /** Where the element stands, in ms, and how many portions came since it got there. */
  let stands = { at: -1, portions: 0 };
  let broken = false;
  let playing = false;

  const playOn = () => void video.play().catch(() => {});
  video.addEventListener('loadeddata', () => {
    if (playing) return;
    performance.mark('ahoy-first-picture');
    playing = true;
    onState('playing');
  });
  // An element that moves in the document is paused.
  video.addEventListener('pause', () => video.isConnected && playOn());
  video.addEventListener('error', () => (broken = true));

  const pump = () => {
    if (!buffer || buffer.updating || source?.readyState !== 'open') return;
    try {
      const next = waiting.shift();
      if (next) return buffer.appendBuffer(next as BufferSource);
      const start = buffer.buffered.length ? buffer.buffered.start(0) : 0;
      const end = trimEnd(keys, start, video.currentTime);
      if (end === null) return;
      keys = keys.filter((time) => time >= end);
      buffer.remove(0, end);
    } catch {
      // Full, though trimmed: no key frame came for too long. Reading anew brings one.
      broken = true;
    }
  };

  const close = () => {
    buffer = null;
    source = null;
    if (url) URL.revokeObjectURL(url);
    url = '';
  };

  const open = () => {
    close();
    demuxer = new Demuxer();
    [waiting, keys, broken, track] = [[], [], false, null];
    stands = { at: -1, portions: 0 };
    timeline = new Timeline();
    const opened = new MediaSource();
    source = opened;
    opened.addEventListener(
      'sourceopen',
      () => {
        if (source !== opened) return;
        buffer = opened.addSourceBuffer(mime);
        buffer.addEventListener('updateend', pump);
        buffer.addEventListener('error', () => (broken = true));
        pump();
      },
      { once: true },
    );
    url = URL.createObjectURL(opened);
    video.src = url;
    playOn();
  };

  return {
    element: video,
    reset: open,
    push(bytes) {
      const frames = demuxer.push(bytes);
      const played = video.currentTime * 1000;
      const times = timeline.place(frames.map(({ timestampMs }) => timestampMs), played);
      stands = { at: played, portions: played === stands.at ? stands.portions + 1 : 0 };
      if (broken || waiting.length > WAITING_MAX || stands.portions > STILL_MAX) {
        throw new DemuxError('the media source does not take the stream');
      }
      const portions = frames.flatMap((frame, index) => {
        const at = times[index] ?? 0;
        if (frame.key) keys.push(at / 1000);
        const portion = cluster(frame.data, frame.key, at);
        if (frame.track === track) return [portion];
        track = frame.track;
        return [initSegment(track.width, track.height), portion];
      });
      if (portions.length > 0) waiting.push(joined(...portions));
      pump();
    },
    ended: () => {},
    close() {
      close();
      video.removeAttribute('src');
      video.load();
    },
  };
};

import { DemuxError, Demuxer } from './demux';
import type { MakePicture, Picture } from './player';

/** How far the picture may be behind the live edge, in seconds. A seek costs a stutter, so not every few ms of it. */
export const BEHIND_MAX = 0.15;
/** Where a seek goes to: the last frame has no end yet, and some players do not start on the very edge. */
export const EDGE = 0.02;
/** Seconds between two seeks at least: the first must have had its effect. */
export const SEEK_PAUSE = 1;
/** Seconds kept behind the picture. */
const KEEP = 2;
/** Portions that wait for the buffer. More means it is stuck, and the stream is read anew. */
const WAITING_MAX = 120;

interface Buffered {
  length: number;
  start(index: number): number;
  end(index: number): number;
}

/**
 * Where to seek, or null to play on. A seek decodes everything since the last key frame once more, so there is one at most in
 * the time that has passed since that: a machine that is late because it is busy would only become later by more of them.
 */
export function seekTarget(buffered: Buffered, now: number, sinceSeek: number, lastKey = -Infinity): number | null {
  const last = buffered.length - 1;
  if (last < 0) return null;
  const [start, end] = [buffered.start(last), buffered.end(last)];
  // In an earlier range nothing ever follows: the gap after it is where the stream was resumed.
  if (now < start) return Math.max(start, end - EDGE);
  const pause = Math.max(SEEK_PAUSE, end - Math.max(start, lastKey));
  if (end - now > BEHIND_MAX && sinceSeek >= pause) return Math.max(start, end - EDGE);
  return null;
}

/**
 * Up to where the buffer may be cut, or null. A cut goes on to the next key frame (Media Source Extensions, coded frame
 * removal), so it is made exactly at one: anywhere else it would take the pictures that are being shown.
 */
export function trimEnd(keys: number[], start: number, now: number): number | null {
  const key = keys.findLast((time) => time <= now - KEEP);
  return key !== undefined && key > start ? key : null;
}

/** MediaSource into a video element, held at the live edge. */
export const mediaSourcePicture = (onState: Parameters<MakePicture>[0], mime: string): Picture => {
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = true;

  let demuxer = new Demuxer();
  let source: MediaSource | null = null;
  let buffer: SourceBuffer | null = null;
  let url = '';
  let waiting: Uint8Array[] = [];
  /** Times of key frames in the buffer, in seconds, rising. */
  let keys: number[] = [];
  let seekedAt = -Infinity;
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
    const sinceSeek = performance.now() / 1000 - seekedAt;
    const target = video.seeking ? null : seekTarget(buffer.buffered, video.currentTime, sinceSeek, keys.at(-1));
    if (target !== null) {
      video.currentTime = target;
      seekedAt = performance.now() / 1000;
      playOn();
    }
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
    [waiting, keys, broken, seekedAt] = [[], [], false, -Infinity];
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
      // Read here too, since the element tells neither where key frames are nor what is wrong with a stream.
      for (const { key, timestampMs } of demuxer.push(bytes)) if (key) keys.push(timestampMs / 1000);
      if (broken || waiting.length > WAITING_MAX) throw new DemuxError('the media source does not take the stream');
      waiting.push(bytes);
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

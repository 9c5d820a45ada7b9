import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { BEHIND_MAX, EDGE, mediaSourcePicture, seekTarget, trimEnd } from './media-source';
import { cluster, initSegment } from './webm';

const ranges = (...all: [number, number][]) => ({
  length: all.length,
  start: (index: number) => all[index]?.[0] ?? NaN,
  end: (index: number) => all[index]?.[1] ?? NaN,
});

describe('the live edge', () => {
  it.each([
    ['nothing is there yet', ranges(), 0, Infinity, null],
    ['close behind it', ranges([0, 5]), 5 - BEHIND_MAX / 2, Infinity, null],
    ['far behind it', ranges([0, 5]), 4, Infinity, 5 - EDGE],
    ['far behind it, just after a seek', ranges([0, 5]), 4, 0.2, null],
    ['before a gap', ranges([0, 5], [8, 9]), 4.99, 0.2, 9 - EDGE],
    ['before the start', ranges([3, 3.01]), 0, 0.2, 3],
  ])('%s', (_, buffered, now, sinceSeek, target) => {
    expect(seekTarget(buffered, now, sinceSeek)).toBe(target);
  });
});

describe('a seek decodes all since the last key frame', () => {
  it.each([
    ['so it waits where that was long ago', 2, null],
    ['and comes at once where that has just come', 17, 20 - EDGE],
    ['of what is still in the buffer', -30, null],
  ])('%s', (_, lastKey, target) => {
    expect(seekTarget(ranges([0, 20]), 19, 5, lastKey)).toBe(target);
  });
});

describe('the buffer is cut', () => {
  it.each([
    ['at the newest key frame that is well behind', [0, 10, 20, 40], 0, 30, 20],
    ['not where it begins already', [20, 40], 20, 30, null],
    ['not without a key frame behind', [0, 29.5], 0, 30, null],
  ])('%s', (_, keys, start, now, end) => {
    expect(trimEnd(keys, start, now)).toBe(end);
  });
});

class FakeBuffer extends EventTarget {
  updating = false;
  appended: number[] = [];
  removed: [number, number][] = [];
  buffered = ranges();
  full = false;
  appendBuffer(bytes: Uint8Array) {
    if (this.full) throw new DOMException('full', 'QuotaExceededError');
    this.appended.push(bytes.length);
    this.updating = true;
  }
  remove(start: number, end: number) {
    this.removed.push([start, end]);
    this.updating = true;
  }
  done() {
    this.updating = false;
    this.dispatchEvent(new Event('updateend'));
  }
}

class FakeSource extends EventTarget {
  static all: FakeSource[] = [];
  readyState = 'open';
  buffer = new FakeBuffer();
  constructor() {
    super();
    FakeSource.all.push(this);
  }
  addSourceBuffer() {
    return this.buffer;
  }
}

class FakeVideo extends EventTarget {
  currentTime = 0;
  seeking = false;
  isConnected = true;
  videoWidth = 0;
  videoHeight = 0;
  src = '';
  async play() {}
  load() {}
  removeAttribute() {}
}

describe('MediaSource', () => {
  let video: FakeVideo;
  beforeEach(() => {
    FakeSource.all = [];
    video = new FakeVideo();
    vi.stubGlobal('document', { createElement: () => video });
    vi.stubGlobal('MediaSource', FakeSource);
    vi.spyOn(URL, 'createObjectURL').mockReturnValue('blob:x');
    vi.spyOn(URL, 'revokeObjectURL').mockReturnValue();
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  const start = () => {
    const picture = mediaSourcePicture(() => {}, 'video/webm; codecs="vp8"');
    picture.reset();
    const source = FakeSource.all.at(-1) as FakeSource;
    source.dispatchEvent(new Event('sourceopen'));
    return { picture, buffer: source.buffer };
  };
  const key = (at: number) => cluster(new Uint8Array(9), true, at);

  it('appends one portion after the other, each once the last is in', () => {
    const { picture, buffer } = start();
    const [init, first, second] = [initSegment(16, 16), key(0), key(33)];
    for (const portion of [init, first, second]) picture.push(portion);
    expect(buffer.appended).toEqual([init.length]);
    buffer.done();
    buffer.done();
    expect(buffer.appended).toEqual([init.length, first.length, second.length]);
  });

  it('moves to the live edge, and cuts what is behind at a key frame', () => {
    const { picture, buffer } = start();
    picture.push(initSegment(16, 16));
    for (const at of [0, 4000, 9000]) picture.push(key(at));
    buffer.buffered = ranges([0, 9.03]);
    for (let step = 0; step < 4; step += 1) buffer.done();
    expect(video.currentTime).toBeCloseTo(9.03 - EDGE);
    expect(buffer.removed).toEqual([[0, 4]]);
  });

  it('reads anew where the buffer is full', () => {
    const { picture, buffer } = start();
    buffer.full = true;
    picture.push(initSegment(16, 16));
    expect(() => picture.push(key(0))).toThrow();
    picture.reset();
    expect(FakeSource.all).toHaveLength(2);
  });

  it('refuses what is not WebM', () => {
    const { picture } = start();
    expect(() => picture.push(new TextEncoder().encode('<html>'))).toThrow();
  });
});

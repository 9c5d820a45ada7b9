import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { mediaSourcePicture, trimEnd } from './media-source';
import { cluster, initSegment } from './webm';

const ranges = (...all: [number, number][]) => ({
  length: all.length,
  start: (index: number) => all[index]?.[0] ?? NaN,
  end: (index: number) => all[index]?.[1] ?? NaN,
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
    expect(buffer.appended).toEqual([init.length + first.length]);
    buffer.done();
    expect(buffer.appended).toEqual([init.length + first.length, second.length]);
  });

  it('says again how large pictures are where that changes', () => {
    const { picture, buffer } = start();
    const [small, large] = [initSegment(16, 16), initSegment(320, 180)];
    for (const portion of [small, key(0), large, key(33)]) picture.push(portion);
    buffer.done();
    expect(buffer.appended).toEqual([small.length + key(0).length, large.length + key(33).length]);
  });

  it('cuts what is behind at a key frame', () => {
    const { picture, buffer } = start();
    picture.push(initSegment(16, 16));
    // The stream has begun long before the element.
    for (let at = 0; at < 4000; at += 100) {
      video.currentTime = at / 1000;
      picture.push(key(60_000 + at));
    }
    buffer.buffered = ranges([0, 4]);
    for (let step = 0; step < 50; step += 1) buffer.done();
    const [[from, to] = [NaN, NaN]] = buffer.removed;
    expect(from).toBe(0);
    expect(to).toBeGreaterThan(1.5);
    expect(to).toBeLessThanOrEqual(1.9);
  });

  it('reads anew where the element stands still', () => {
    const { picture, buffer } = start();
    picture.push(initSegment(16, 16));
    const push = () => {
      for (let at = 0; at < 10_000; at += 33) {
        picture.push(key(at));
        buffer.done();
      }
    };
    expect(push).toThrow();
  });

  it('reads anew where the buffer is full', () => {
    const { picture, buffer } = start();
    buffer.full = true;
    picture.push(initSegment(16, 16));
    picture.push(key(0));
    expect(() => picture.push(key(33))).toThrow();
    picture.reset();
    expect(FakeSource.all).toHaveLength(2);
  });

  it('refuses what is not WebM', () => {
    const { picture } = start();
    expect(() => picture.push(new TextEncoder().encode('<html>'))).toThrow();
  });
});

import { describe, expect, it } from 'vitest';

import { DemuxError, Demuxer, ELEMENT_MAX } from './demux';
import { cluster, initSegment } from './webm';

const bytes = (...parts: (Uint8Array | number[])[]) => new Uint8Array(parts.flatMap((part) => [...part]));
const frame = (length: number, fill = 7) => new Uint8Array(length).fill(fill);

const stream = bytes(
  initSegment(1280, 720),
  cluster(frame(200), true, 0),
  cluster(frame(1), false, 33),
  cluster(frame(70_000, 9), false, 70_000),
);

const copied = (frames: ReturnType<Demuxer['push']>) =>
  frames.map(({ timestampMs, key, data }) => ({ timestampMs, key, length: data.length, first: data[0] }));

const expected = [
  { timestampMs: 0, key: true, length: 200, first: 7 },
  { timestampMs: 33, key: false, length: 1, first: 7 },
  { timestampMs: 70_000, key: false, length: 70_000, first: 9 },
];

/** Numbers that look random and are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('a stream of the muxer', () => {
  it('gives its frames, with time, kind and bytes', () => {
    const demuxer = new Demuxer();
    expect(copied(demuxer.push(stream))).toEqual(expected);
    expect(demuxer.track).toEqual({ width: 1280, height: 720 });
    expect(demuxer.pending).toBe(0);
  });

  it.each([1, 2, 3, 7, 64, 1021])('gives the same in portions of %i bytes', (size) => {
    const demuxer = new Demuxer();
    const frames = [];
    const whole = stream.subarray(0, 700);
    for (let at = 0; at < whole.length; at += size) frames.push(...copied(demuxer.push(whole.slice(at, at + size))));
    expect(frames).toEqual(expected.slice(0, 2));
  });

  it('reads a whole cluster without copying it', () => {
    const demuxer = new Demuxer();
    demuxer.push(initSegment(16, 16));
    const portion = cluster(frame(100), true, 5);
    expect(demuxer.push(portion)[0]?.data.buffer).toBe(portion.buffer);
  });

  it('may begin anew with another segment of another size', () => {
    const demuxer = new Demuxer();
    demuxer.push(stream);
    const frames = demuxer.push(bytes(initSegment(320, 180), cluster(frame(3), true, 2)));
    expect(copied(frames)).toEqual([{ timestampMs: 2, key: true, length: 3, first: 7 }]);
    expect(demuxer.track).toEqual({ width: 320, height: 180 });
  });

  it('may hold elements that nobody knows', () => {
    const demuxer = new Demuxer();
    demuxer.push(initSegment(16, 16));
    const unknown = [0xec, 0x84, 1, 2, 3, 4];
    expect(demuxer.push(bytes(unknown, cluster(frame(3), true, 2), unknown))).toHaveLength(1);
  });
});

describe('what is no such stream is refused', () => {
  const init = initSegment(16, 16);
  const inCluster = (...body: number[]) => bytes(init, [0x1f, 0x43, 0xb6, 0x75, 0x80 | body.length, ...body]);
  const time = [0xe7, 0x81, 0];
  it.each<[string, Uint8Array]>([
    ['text', new TextEncoder().encode('<!doctype html>')],
    ['zeros', new Uint8Array(64)],
    ['a segment without a header', init.subarray(init.indexOf(0x18))],
    ['another document type', bytes(init.map((byte, at) => (init[at - 3] === 0x42 && init[at - 2] === 0x82 ? 0x78 : byte)))],
    ['a track of no size', initSegment(0, 16)],
    ['a track of a size that cannot be', initSegment(16, 5000)],
    ['a cluster of unknown size', bytes(init, [0x1f, 0x43, 0xb6, 0x75, 0xff])],
    ['a block before its time', inCluster(0xa3, 0x85, 0x81, 0, 0, 0x80, 1)],
    ['a block of another track', inCluster(...time, 0xa3, 0x85, 0x82, 0, 0, 0x80, 1)],
    ['a block with lacing', inCluster(...time, 0xa3, 0x85, 0x81, 0, 0, 0x82, 1)],
    ['a block without a frame', inCluster(...time, 0xa3, 0x84, 0x81, 0, 0, 0x80)],
    ['a block longer than its cluster', inCluster(...time, 0xa3, 0xbf, 0x81, 0, 0, 0x80, 1)],
    ['a time of nine bytes', inCluster(0xe7, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a frame of gigabytes', bytes(init, [0x1f, 0x43, 0xb6, 0x75, 0x08, 0xff, 0, 0, 0, 0xa3, 0x08, 0xf0, 0, 0, 0])],
  ])('%s', (_, data) => {
    expect(() => new Demuxer().push(data)).toThrow(DemuxError);
  });

  it('whatever is changed in it, with no other error and no more memory than one element', () => {
    const random = seeded(20);
    const short = bytes(initSegment(640, 360), cluster(frame(60), true, 0), cluster(frame(50), false, 33));
    for (let round = 0; round < 3000; round += 1) {
      const changed = short.slice();
      for (let change = 0; change < 1 + (round % 4); change += 1) {
        changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
      }
      const demuxer = new Demuxer();
      try {
        for (let at = 0; at < changed.length; at += 37) demuxer.push(changed.slice(at, at + 37));
        expect(demuxer.pending).toBeLessThanOrEqual(ELEMENT_MAX);
      } catch (error) {
        expect(error).toBeInstanceOf(DemuxError);
      }
    }
  });
});

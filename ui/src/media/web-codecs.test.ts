import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { PictureState } from './player';
import { paintedSize, webCodecsPicture } from './web-codecs';
import { cluster, initSegment } from './webm';

describe('no more pixels are painted than are seen', () => {
  it.each([
    ['a box of the same form', { width: 640, height: 360 }, 1, { width: 640, height: 360 }],
    ['a narrower box', { width: 640, height: 720 }, 1, { width: 640, height: 360 }],
    ['a display of double density', { width: 320, height: 180 }, 2, { width: 640, height: 360 }],
    ['a box that is hardly smaller', { width: 1012, height: 569 }, 1, { width: 1280, height: 720 }],
    ['a larger box', { width: 4000, height: 3000 }, 1, { width: 1280, height: 720 }],
    ['a tiny box', { width: 0.4, height: 0.4 }, 1, { width: 1, height: 1 }],
    ['a box of unknown size', { width: 0, height: 0 }, 1, { width: 1280, height: 720 }],
  ])('%s', (_, box, ratio, painted) => {
    expect(paintedSize({ width: 1280, height: 720 }, box, ratio)).toEqual(painted);
  });
});

class FakeFrame {
  closed = false;
  displayWidth = 640;
  displayHeight = 360;
  close() {
    this.closed = true;
  }
}

class FakeDecoder {
  static all: FakeDecoder[] = [];
  state = 'unconfigured';
  decodeQueueSize = 0;
  decoded: { type: string; timestamp: number }[] = [];
  constructor(readonly callbacks: { output(frame: unknown): void; error(error: unknown): void }) {
    FakeDecoder.all.push(this);
  }
  configure() {
    this.state = 'configured';
  }
  decode(chunk: { type: string; timestamp: number }) {
    this.decoded.push(chunk);
  }
  close() {
    this.state = 'closed';
  }
}

describe('WebCodecs', () => {
  let frames: (() => void)[] = [];
  const painted: unknown[] = [];

  beforeEach(() => {
    FakeDecoder.all = [];
    frames = [];
    painted.length = 0;
    const canvas = { width: 300, height: 150, getContext: () => ({ drawImage: (frame: unknown) => painted.push(frame) }) };
    vi.stubGlobal('document', { createElement: () => canvas });
    vi.stubGlobal('ResizeObserver', class {
      observe() {}
      disconnect() {}
    });
    vi.stubGlobal('VideoDecoder', FakeDecoder);
    vi.stubGlobal('EncodedVideoChunk', class {
      type: string;
      timestamp: number;
      constructor({ type, timestamp }: { type: string; timestamp: number }) {
        Object.assign(this, { type, timestamp });
        this.type = type;
        this.timestamp = timestamp;
      }
    });
    vi.stubGlobal('devicePixelRatio', 1);
    vi.stubGlobal('requestAnimationFrame', (run: () => void) => frames.push(run));
    vi.stubGlobal('cancelAnimationFrame', () => {});
  });
  afterEach(() => vi.unstubAllGlobals());

  const nextFrame = () => frames.splice(0).forEach((run) => run());
  const start = () => {
    const states: PictureState[] = [];
    const picture = webCodecsPicture((state) => states.push(state));
    picture.reset();
    picture.push(initSegmentWith(cluster(new Uint8Array(3), true, 0)));
    return { picture, states, decoder: FakeDecoder.all.at(-1) as FakeDecoder };
  };
  const initSegmentWith = (more: Uint8Array) => new Uint8Array([...initSegment(640, 360), ...more]);
  const delta = (at: number) => cluster(new Uint8Array(3), false, at);

  it('decodes from the key frame on, times in microseconds', () => {
    const { picture, decoder } = start();
    picture.push(delta(33));
    expect(decoder.decoded.map(({ type, timestamp }) => [type, timestamp])).toEqual([['key', 0], ['delta', 33_000]]);
  });

  it('paints the newest frame alone, and closes every one', () => {
    const { decoder, states } = start();
    const [old, newest] = [new FakeFrame(), new FakeFrame()];
    decoder.callbacks.output(old);
    decoder.callbacks.output(newest);
    expect(frames).toHaveLength(1);
    expect(old.closed).toBe(true);
    nextFrame();
    expect(painted).toEqual([newest]);
    expect(newest.closed).toBe(true);
    expect(states).toEqual(['playing']);
  });

  it('asks for a key frame after an error of the decoder, and takes it', () => {
    const { picture, decoder } = start();
    decoder.callbacks.error(new Error('damaged'));
    expect(() => picture.push(delta(33))).toThrow('key frame');
    picture.reset();
    picture.push(initSegmentWith(cluster(new Uint8Array(3), true, 66)));
    expect(FakeDecoder.all).toHaveLength(2);
    expect(FakeDecoder.all[1]?.decoded[0]?.type).toBe('key');
  });

  it('starts anew where the decoder is slower than the stream', () => {
    const { picture, decoder } = start();
    decoder.decodeQueueSize = 100;
    expect(() => picture.push(delta(33))).toThrow('slower');
    expect(decoder.state).toBe('closed');
  });

  it('takes all that a late joiner is given at once, and is then as strict as ever', () => {
    const picture = webCodecsPicture(() => {});
    picture.reset();
    const since = Array.from({ length: 89 }, (_, index) => [...delta(33 * index + 33)]);
    picture.push(initSegmentWith(new Uint8Array([...cluster(new Uint8Array(3), true, 0), ...since.flat()])));
    const decoder = FakeDecoder.all[0] as FakeDecoder;
    expect(decoder.decoded).toHaveLength(90);
    decoder.decodeQueueSize = 90;
    picture.push(delta(3000));
    decoder.decodeQueueSize = 3;
    picture.push(delta(3033));
    decoder.decodeQueueSize = 90;
    expect(() => picture.push(delta(3066))).toThrow('slower');
  });

  it('gives up on a stream that no decoder takes', () => {
    const { picture } = start();
    const again = () => {
      FakeDecoder.all.at(-1)?.callbacks.error(new Error('never'));
      picture.reset();
      picture.push(initSegmentWith(cluster(new Uint8Array(3), true, 0)));
    };
    for (let round = 0; round < 4; round += 1) again();
    expect(again).toThrow('nothing');
  });

  it('leaves nothing open', () => {
    const { picture, decoder } = start();
    const frame = new FakeFrame();
    decoder.callbacks.output(frame);
    picture.close();
    expect(frame.closed).toBe(true);
    expect(decoder.state).toBe('closed');
  });
});

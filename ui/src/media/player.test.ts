import { describe, expect, it, vi } from 'vitest';

import type { MediaChunk } from '../ipc/ipc';
import { findMeans, type Picture, start, type Visibility } from './player';

const scope = (has: object) => has as typeof globalThis;
const codecs = (supported: boolean) => ({
  VideoDecoder: Object.assign(class {}, { isConfigSupported: async () => ({ supported }) }),
  EncodedVideoChunk: class {},
});
const source = (supported: boolean) => ({ MediaSource: Object.assign(class {}, { isTypeSupported: () => supported }) });

describe('what a webview plays with', () => {
  it.each([
    ['WebCodecs where it has it', { ...codecs(true), ...source(true) }, 'web-codecs'],
    ['MediaSource where WebCodecs has no VP8', { ...codecs(false), ...source(true) }, 'media-source'],
    ['MediaSource where there is no WebCodecs', source(true), 'media-source'],
    ['nothing where neither has VP8', { ...codecs(false), ...source(false) }, null],
    ['nothing where there is neither', {}, null],
  ])('%s', async (_, has, means) => {
    expect(await findMeans(scope(has))).toBe(means);
  });
});

describe('a player', () => {
  const make = () => {
    const picture: Picture = { element: {} as HTMLElement, push() {}, reset: vi.fn(), ended: vi.fn(), close: vi.fn() };
    return picture;
  };

  it('reads only while it can be seen, and from a key frame again after that', async () => {
    let visible = true;
    let changed = () => {};
    const visibility: Visibility = {
      visible: () => visible,
      watch(tell) {
        changed = tell;
        return () => {};
      },
    };
    const reads: { after: string | null; signal: AbortSignal }[] = [];
    const readMedia = (_: string, after: string | null, signal: AbortSignal) => {
      reads.push({ after, signal });
      return new Promise<MediaChunk>(() => {});
    };
    start({ readMedia }, 's', make, () => {}, visibility);
    expect(reads).toHaveLength(1);
    visible = false;
    changed();
    expect(reads[0]?.signal.aborted).toBe(true);
    visible = true;
    changed();
    expect(reads.map(({ after }) => after)).toEqual([null, null]);
  });

  it('tells the end of the stream, and does not ask again', async () => {
    const states: string[] = [];
    const readMedia = vi.fn(async (): Promise<MediaChunk> => ({ type: 'end' }));
    let changed = () => {};
    start({ readMedia }, 's', make, (state) => states.push(state), {
      visible: () => true,
      watch: (tell) => {
        changed = tell;
        return () => {};
      },
    });
    await vi.waitFor(() => expect(states).toEqual(['ended']));
    changed();
    expect(readMedia).toHaveBeenCalledTimes(1);
  });

  it('stops reading and frees its picture', () => {
    const picture = make();
    let aborted: AbortSignal | undefined;
    const player = start(
      { readMedia: (_, __, signal) => ((aborted = signal), new Promise(() => {})) },
      's',
      () => picture,
      () => {},
      { visible: () => true, watch: () => () => {} },
    );
    player.stop();
    expect(aborted?.aborted).toBe(true);
    expect(picture.close).toHaveBeenCalled();
  });
});

it('the decoder that was looked for while it rang is the one that plays', async () => {
  vi.resetModules();
  const { play, prepare } = await import('./player');
  const isConfigSupported = vi.fn(async () => ({ supported: false }));
  vi.stubGlobal('VideoDecoder', Object.assign(class {}, { isConfigSupported }));
  vi.stubGlobal('EncodedVideoChunk', class {});
  prepare();
  prepare();
  await vi.waitFor(() => expect(isConfigSupported).toHaveBeenCalled());
  const onState = vi.fn();
  expect(await play({ ipc: { readMedia: vi.fn() }, stream: 's', onState })).toBeNull();
  expect(onState).toHaveBeenCalledWith('no-decoder');
  expect(isConfigSupported).toHaveBeenCalledTimes(1);
  vi.unstubAllGlobals();
});

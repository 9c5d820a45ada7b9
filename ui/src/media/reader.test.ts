import { describe, expect, it, vi } from 'vitest';

import type { MediaChunk } from '../ipc/ipc';
import { readStream, type StreamSink } from './reader';

const media = (value: number, next: string | null): MediaChunk => ({ type: 'media', body: new Uint8Array([value]), next });

/** What a sink was told, in order. */
function told() {
  const log: string[] = [];
  const sink: StreamSink = {
    push: (bytes) => void log.push(`push ${bytes[0]}`),
    reset: () => void log.push('reset'),
    ended: (how) => void log.push(`ended ${how}`),
  };
  return { log, sink };
}

const noSleep = async () => {};

describe('a stream is read', () => {
  it('by the cursor of each answer, one read after the other, to its end', async () => {
    const answers: MediaChunk[] = [media(1, '0.5'), media(2, '0.6'), { type: 'end' }];
    let open = 0;
    const readMedia = vi.fn(async () => {
      open += 1;
      expect(open).toBe(1);
      await Promise.resolve();
      open -= 1;
      return answers.shift() as MediaChunk;
    });
    const { log, sink } = told();
    await readStream({ readMedia }, 's', sink, new AbortController().signal);
    expect(log).toEqual(['reset', 'push 1', 'push 2', 'ended end']);
    expect(readMedia.mock.calls.map((args) => (args as unknown[])[1])).toEqual([null, '0.5', '0.6']);
  });

  it('anew from a key frame after an error, and goes on', async () => {
    const answers: (MediaChunk | Error)[] = [media(1, '0.5'), new Error('cut'), media(9, '0.9'), { type: 'end' }];
    const cursors: (string | null)[] = [];
    const { log, sink } = told();
    const waits: number[] = [];
    await readStream(
      {
        readMedia: async (_, after) => {
          cursors.push(after);
          const answer = answers.shift();
          if (answer instanceof Error) throw answer;
          return answer as MediaChunk;
        },
      },
      's',
      sink,
      new AbortController().signal,
      async (ms) => void waits.push(ms),
    );
    expect(log).toEqual(['reset', 'push 1', 'reset', 'push 9', 'ended end']);
    expect(cursors).toEqual([null, '0.5', null, '0.9']);
    expect(waits).toEqual([50]);
  });

  it('no more after six failures in a row', async () => {
    const readMedia = vi.fn(async () => Promise.reject(new Error('refused')));
    const { log, sink } = told();
    await readStream({ readMedia }, 's', sink, new AbortController().signal, noSleep);
    expect(log).toEqual(['ended failed']);
    expect(readMedia).toHaveBeenCalledTimes(6);
  });

  it('no more where it is of no use', async () => {
    const { log, sink } = told();
    sink.push = () => {
      throw new Error('not WebM');
    };
    await readStream({ readMedia: async () => media(1, '0.1') }, 's', sink, new AbortController().signal, noSleep);
    expect(log.at(-1)).toBe('ended failed');
  });

  it('not at all where there is none', async () => {
    const { log, sink } = told();
    await readStream({ readMedia: async () => ({ type: 'unknown' }) }, 's', sink, new AbortController().signal);
    expect(log).toEqual(['ended unknown']);
  });

  it('not a byte further once it is stopped', async () => {
    const stop = new AbortController();
    const { log, sink } = told();
    await readStream(
      {
        readMedia: async () => {
          stop.abort();
          return media(1, '0.1');
        },
      },
      's',
      sink,
      stop.signal,
    );
    expect(log).toEqual([]);
  });

  it('and a shell that gives no cursor is not asked for ever', async () => {
    const readMedia = vi.fn(async () => media(1, null));
    const { log, sink } = told();
    await readStream({ readMedia }, 's', sink, new AbortController().signal, noSleep);
    expect(log.at(-1)).toBe('ended failed');
    expect(readMedia).toHaveBeenCalledTimes(6);
  });
});

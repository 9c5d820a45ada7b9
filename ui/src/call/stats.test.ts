import { describe, expect, it } from 'vitest';

import { stats } from '../ipc/scenarios/people';
import { appended, graphs, path, range, SHOWN, totals } from './stats';
import { toStats } from './browser-stats';

describe('the graphs', () => {
  it('hold the last minute', () => {
    let all: ReturnType<typeof stats>[] = [];
    for (let second = 0; second < 80; second += 1) all = appended(all, stats(second, second));
    expect(all).toHaveLength(SHOWN);
    expect(all[0]?.at).toBe(20);
    expect(graphs(all)[0]?.lines[0]).toHaveLength(SHOWN);
  });

  it('are summed up for what happens now and then', () => {
    const all = [stats(0, 1), stats(1, 2)];
    expect(totals(all)).toEqual({ lost: 2, recovered: 2, freezes: 0, concealedMs: 20 });
    expect(totals([])).toEqual({ lost: 0, recovered: 0, freezes: 0, concealedMs: 0 });
  });

  it.each([
    [[[0, 0]], { low: 0, high: 1 }],
    [[[3, 87]], { low: 0, high: 90 }],
    [[[1480], [1390]], { low: 0, high: 2000 }],
    [[[-12, 4]], { low: -20, high: 10 }],
    [[[null, NaN, Infinity]], { low: 0, high: 1 }],
  ])('of %j have the range %j', (lines, expected) => {
    expect(range(lines)).toEqual(expected);
  });

  it('have the newest value at the right edge, and a gap where one is missing', () => {
    expect(path([10, null, 0, 5], 118, 40, { low: 0, high: 10 })).toBe('M112.0 0.0M116.0 40.0L118.0 20.0');
    expect(path([], 118, 40, { low: 0, high: 1 })).toBe('');
  });
});

describe('the webview’s report', () => {
  const report = (at: number, bytes: number, lost: number, freezeCount = 1, concealedSamples = 480) => [
    { type: 'inbound-rtp', kind: 'video', timestamp: at, bytesReceived: bytes, packetsReceived: 100, packetsLost: lost, framesPerSecond: 30, frameWidth: 1280, frameHeight: 720, freezeCount, retransmittedPacketsReceived: 7 },
    { type: 'inbound-rtp', kind: 'audio', timestamp: at, bytesReceived: 1000, packetsReceived: 50, jitterBufferDelay: 2, jitterBufferEmittedCount: 100, concealedSamples },
    { type: 'outbound-rtp', kind: 'video', timestamp: at, bytesSent: bytes * 2, framesPerSecond: 15 },
    { type: 'candidate-pair', nominated: true, state: 'succeeded', timestamp: at, currentRoundTripTime: 0.02, availableOutgoingBitrate: 900_000 },
  ];

  it('becomes stats of the time since the last one', () => {
    const [, before] = toStats(report(1000, 50_000, 0), null);
    const [now, after] = toStats(report(3000, 300_000, 25, 3, 960), before);
    expect(now.in).toMatchObject({ kbps: 1000, fps: 30, width: 1280, height: 720, lost: 25, freezes: 2, recovered: 0, concealedMs: 10 });
    expect(toStats(report(4000, 300_000, 25, 3, 960), after)[0].in).toMatchObject({ kbps: 0, lost: 0, freezes: 0, concealedMs: 0 });
    expect(now.out).toMatchObject({ kbps: 2000, fps: 15, width: 0 });
    expect(now).toMatchObject({ at: 3000, rttMs: 20, lossPercent: 100, targetKbps: 900 });
  });

  it('may be empty', () => {
    const [none] = toStats([], null);
    expect(none).toMatchObject({ rttMs: null, lossPercent: 0, targetKbps: null });
    expect(none.in.kbps).toBe(0);
  });
});

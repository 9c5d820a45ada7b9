import { describe, expect, it } from 'vitest';

import type { HistoryEntry } from '../ipc/types';
import { byDay, merged, talked, unseenMissed } from './entries';

const entry = (id: number, startedAt: number, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  id,
  peer: 'p',
  peerName: 'P',
  direction: 'incoming',
  video: false,
  startedAt,
  answeredAt: null,
  endedAt: null,
  outcome: 'missed',
  reason: null,
  seen: false,
  ...more,
});

const at = (day: number, hour: number) => new Date(2026, 4, day, hour).getTime();

describe('the history', () => {
  it('is by local days, newest first', () => {
    const days = byDay([entry(3, at(2, 9)), entry(2, at(1, 23)), entry(1, at(1, 0))]);
    expect(days.map(({ at: day, entries }) => [day, entries.map(({ id }) => id)])).toEqual([
      [at(2, 0), [3]],
      [at(1, 0), [2, 1]],
    ]);
  });

  it('has each call once, as it was told last, when more of it is read', () => {
    const all = merged([entry(2, 20, { seen: true })], [entry(2, 20), entry(1, 10), entry(3, 30)]);
    expect(all.map(({ id, seen }) => [id, seen])).toEqual([[3, false], [2, true], [1, false]]);
  });

  it('counts missed calls that were not seen', () => {
    expect(unseenMissed([entry(1, 0), entry(2, 0, { seen: true }), entry(3, 0, { outcome: 'declined' })])).toBe(1);
  });

  it('tells the length of a call from its answer on', () => {
    expect(talked(entry(1, 0, { answeredAt: 5000, endedAt: 65_000 }))).toBe(60_000);
    expect(talked(entry(1, 0, { endedAt: 65_000 }))).toBeNull();
    expect(talked(entry(1, 0, { answeredAt: 9000, endedAt: 5000 }))).toBe(0);
  });
});

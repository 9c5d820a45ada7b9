import { describe, expect, it } from 'vitest';

import { LEAD, Timeline } from './timeline';

/** A stream of 30 pictures a second from `from` on, of which the element has played `played(ms since then)`. Leads by the end. */
function follow(timeline: Timeline, frames: number, played: (elapsed: number) => number, from = 0, every = 33): number[] {
  return Array.from({ length: frames }, (_, index) => {
    const at = from + index * every;
    const now = played(index * every);
    return (timeline.place([at], now)[0] as number) - now;
  });
}

describe('the times that frames are given', () => {
  it('rise, whatever the stream says', () => {
    const placed = new Timeline().place([500, 533, 533, 100, 1e6], 0);
    expect(placed[0]).toBe(0);
    expect(placed.every((at, index) => index === 0 || at > (placed[index - 1] as number))).toBe(true);
    expect(placed.every(Number.isInteger)).toBe(true);
  });

  it('keep the lead where the element plays as fast as the stream', () => {
    const leads = follow(new Timeline(), 300, (elapsed) => elapsed);
    for (const lead of leads.slice(30)) expect(Math.abs(lead - LEAD)).toBeLessThan(10);
  });

  it('are closer together until an element that began late has caught up', () => {
    const leads = follow(new Timeline(), 90, (elapsed) => Math.max(0, elapsed - 400));
    expect(Math.max(...leads)).toBeLessThan(250);
    expect(Math.abs((leads.at(-1) as number) - LEAD)).toBeLessThan(10);
  });

  it('are further apart where the element would run out of pictures', () => {
    const timeline = new Timeline();
    follow(timeline, 60, (elapsed) => elapsed + 40);
    const leads = follow(timeline, 60, (elapsed) => 60 * 33 + elapsed + 40, 60 * 33);
    expect(Math.abs((leads.at(-1) as number) - LEAD)).toBeLessThan(10);
  });

  it.each([67, 200])('are not run out of where a frame comes every %i ms', (every) => {
    const leads = follow(new Timeline(), 60, (elapsed) => elapsed, 0, every);
    // The element has not yet played what it has when the next one comes.
    for (const lead of leads.slice(30)) expect(lead).toBeGreaterThanOrEqual(every * 0.9);
  });

  it.each([33, 67])('never are a gap to the element, with a frame every %i ms', (every) => {
    const timeline = new Timeline();
    const late = Array.from({ length: 20 }, (_, index) => index * every);
    const placed = timeline.place(late, 0);
    for (let frame = 20; frame < 200; frame += 1) {
      const missing = frame > 100 ? 5 : 0;
      placed.push(...timeline.place([(frame + missing) * every], (frame - 20) * every));
    }
    let longest = 16;
    placed.slice(1).forEach((at, index) => {
      const step = at - (placed[index] as number);
      expect(step).toBeLessThanOrEqual(2 * longest);
      longest = Math.max(longest, step);
    });
  });

  it('do not wait for what a gap has left out', () => {
    const timeline = new Timeline();
    follow(timeline, 30, (elapsed) => elapsed);
    expect(timeline.place([60_000], 990)[0]).toBeLessThan(990 + 150);
  });

  it('pass over what came before the newest, all at once', () => {
    const placed = new Timeline().place(
      Array.from({ length: 150 }, (_, index) => index * 33),
      0,
    );
    expect(placed.at(-1)).toBeLessThan(200);
  });
});

import { describe, expect, it } from 'vitest';

import { aCall } from '../ipc/fake';
import type { Call, Unheard } from '../ipc/types';
import { duration, endDetail, isPausedHere, moved, nearestCorner, networkText, phaseText, unheardText } from './describe';

describe('a call in words', () => {
  it.each([
    ['ringing', {}, 'phase.ringing'],
    ['held', { heldHere: true }, 'phase.held-here'],
    ['held', { heldThere: true }, 'phase.held-there'],
    ['ended', { end: { reason: 'busy', text: '' } }, 'end.busy'],
    ['ended', { end: { reason: 'something new', text: 'Text.' } }, 'end.other'],
    ['ended', {}, 'end.hangup'],
  ] as const)('%s %j is %s', (phase, more, key) => {
    expect(phaseText(aCall({ phase, ...more }))).toBe(key);
  });

  it('has the words of the shell where ours say less', () => {
    const end = (reason: string) => endDetail(aCall({ phase: 'ended', end: { reason, text: 'Why.' } }));
    expect([end('failed'), end('new'), end('hangup')]).toEqual(['Why.', 'Why.', null]);
  });
});

describe('who is not heard', () => {
  const told = (unheard: Unheard | null, more = {}) => unheardText(aCall({ unheard, ...more }));

  it.each([
    ['no-microphone', 'unheard.you', 'unheard.no-microphone'],
    ['silent-microphone', 'unheard.you', 'unheard.silent-microphone'],
    ['on-the-way', 'unheard.you', 'unheard.on-the-way'],
    ['there', 'unheard.them', 'unheard.there'],
  ] as const)('is told with the reason that is known: %s', (why, what, todo) => {
    expect(told(why)).toMatchObject({ why, what, todo });
  });

  it('is told where somebody wants to be heard, in a call that runs', () => {
    const muted = { wanted: { audio: false, video: true } };
    expect([told(null), told('on-the-way', muted), told('there', { phase: 'ended' })]).toEqual([null, null, null]);
    expect(told('there', muted)?.why).toBe('there');
  });
});

describe('the network', () => {
  const told = (more: Partial<Call>) => networkText(aCall({ quality: 'fair', ...more }))?.short ?? null;

  it.each([
    [{ reason: 'loss', flow: 'sending' }, null, 'network.loss'],
    [{ reason: 'loss', flow: 'receiving' }, null, 'network.loss'],
    [{ reason: 'delay', flow: null }, null, 'network.delay'],
    [{ reason: 'delay', flow: 'receiving' }, null, 'network.late'],
    [{ reason: 'bandwidth', flow: 'sending' }, null, 'network.slow'],
    [{ reason: 'bandwidth', flow: 'sending' }, 'smaller', 'network.slow-smaller'],
    [{ reason: 'bandwidth', flow: 'sending' }, 'paused', 'network.paused-here'],
    [{ reason: 'bandwidth', flow: 'receiving' }, null, 'network.slow-there'],
    [{ reason: 'processor', flow: 'sending' }, 'smaller', 'network.busy-smaller'],
    [{ reason: 'processor', flow: 'sending' }, null, 'network.busy'],
    [{ reason: 'outage', flow: null }, null, 'network.outage'],
    // The worst is told: that video is smaller as well is not why packets get lost.
    [{ reason: 'loss', flow: 'sending' }, 'smaller', 'network.loss'],
  ] as const)('%j with video %s is %s', (trouble, adapted, key) => {
    expect(told({ trouble, adapted })).toBe(key);
  });

  it('is not told of where it is good, or where there is none', () => {
    const trouble = { reason: 'loss', flow: null } as const;
    expect([told({}), told({ quality: 'good', trouble }), told({ trouble, phase: 'ended' })]).toEqual([null, null, null]);
  });

  it('pauses the own video only where there is some', () => {
    const paused = (more: Partial<Call>) => isPausedHere(aCall({ adapted: 'paused', ...more }));
    const audio = { wanted: { audio: true, video: false } };
    expect([paused({}), paused(audio), paused({ phase: 'ended' }), paused({ adapted: null })]).toEqual([true, false, false, false]);
  });
});

describe('the timer', () => {
  it.each([
    [0, '0:00'],
    [7400, '0:07'],
    [754_000, '12:34'],
    [3_723_000, '1:02:03'],
    [-5, '0:00'],
  ])('shows %i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

describe('the own picture', () => {
  it('goes to the corner that it was dropped nearest to', () => {
    expect(nearestCorner(10, 10, 100, 100)).toBe('top-left');
    expect(nearestCorner(90, 60, 100, 100)).toBe('bottom-right');
  });

  it('moves by arrow keys, and stays where another key is pressed', () => {
    expect(moved('bottom-right', 'ArrowUp')).toBe('top-right');
    expect(moved('top-right', 'ArrowLeft')).toBe('top-left');
    expect(moved('top-left', 'ArrowLeft')).toBe('top-left');
    expect(moved('top-left', 'Tab')).toBeNull();
  });
});

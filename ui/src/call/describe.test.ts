import { describe, expect, it } from 'vitest';

import { aCall } from '../ipc/fake';
import { duration, endDetail, moved, nearestCorner, phaseText } from './describe';

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

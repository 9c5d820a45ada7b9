import { describe, expect, it } from 'vitest';

import type { Contact } from '../ipc/types';
import { canCall, find, nameOf, sections } from './list';

const contact = (name: string, more: Partial<Contact> = {}): Contact => ({
  id: name,
  name,
  ownName: null,
  presence: 'online',
  blocked: false,
  echo: false,
  lastSeen: null,
  ...more,
});

const names = (contacts: Contact[]) =>
  sections(contacts).map(({ key, contacts: of }) => `${key}: ${of.map(({ name }) => name).join(', ')}`);

describe('the list', () => {
  it('has Echo first, then who can be called, then the others, then the blocked', () => {
    expect(
      names([
        contact('zoe'),
        contact('bob', { presence: 'offline' }),
        contact('dnd', { presence: 'do-not-disturb' }),
        contact('spam', { blocked: true }),
        contact('off', { presence: 'no-calls' }),
        contact('busy', { presence: 'in-call' }),
        contact('Echo', { echo: true, presence: 'offline' }),
        contact('Ann'),
      ]),
    ).toEqual(['reachable: Echo, Ann, zoe, busy, dnd, off', 'others: bob', 'blocked: spam']);
  });

  it('has no empty sections', () => {
    expect(sections([])).toEqual([]);
  });
});

describe('a search', () => {
  const all = [contact('Amélie Durand'), contact('Jonas', { ownName: 'Brother' }), contact('Ümit Öz')];
  it.each([
    ['', 3],
    ['amelie', 1],
    ['DUR ame', 1],
    ['broth', 1],
    ['jonas', 1],
    ['umit oz', 1],
    ['nobody', 0],
  ])('for %j finds %i', (search, count) => {
    expect(find(all, search)).toHaveLength(count);
  });
});

describe('a contact', () => {
  it('goes by the name that the user gave it, else by its own', () => {
    expect(nameOf({ name: 'x', ownName: 'Mum' })).toBe('Mum');
    expect(nameOf({ name: 'x', ownName: ' ' })).toBe('x');
    expect(nameOf({ name: '\u202e', ownName: null })).toBe('');
  });

  it.each([
    ['online', true],
    ['away', true],
    ['busy', true],
    ['in-call', true],
    ['do-not-disturb', true],
    ['no-calls', false],
    ['offline', false],
  ] as const)('that is %s can be called: %s', (presence, can) => {
    expect(canCall(contact('x', { presence }))).toBe(can);
    expect(canCall(contact('x', { presence, blocked: true }))).toBe(false);
  });
});

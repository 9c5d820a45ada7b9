import { beforeEach, describe, expect, it } from 'vitest';

import { chooseLocale, fill, i18n, t, withRegion } from './i18n.svelte';
import { hue, initials, isolated, shown } from './names';

describe('the language', () => {
  it.each([
    ['system', ['de-AT', 'en'], 'de'],
    ['system', ['nl', 'FR-ca', 'en'], 'fr'],
    ['system', ['ja'], 'en'],
    ['system', [], 'en'],
    ['fr', ['de'], 'fr'],
  ] as const)('%s, where the system asks for %j, is %s', (setting, system, locale) => {
    expect(chooseLocale(setting, system)).toBe(locale);
  });
});

describe('dates and numbers', () => {
  it.each([
    ['en', ['de-AT', 'en-GB'], 'en-GB'],
    ['de', ['de-AT', 'en-GB'], 'de-AT'],
    ['fr', ['de-AT'], 'fr'],
  ] as const)('in %s, where the system has %j, are those of %s', (locale, system, tag) => {
    expect(withRegion(locale, system)).toBe(tag);
  });
});

describe('messages', () => {
  beforeEach(() => (i18n.locale = 'en'));

  it('are in the language that is set, with numbers as it writes them', () => {
    expect(t('call.mute')).toBe('Mute');
    i18n.locale = 'de';
    expect(t('call.mute')).toBe('Stumm');
    expect(i18n.number(1234.56)).toBe('1.234,6');
  });

  it('have a form for one and one for more', () => {
    expect([0, 1, 2].map((count) => i18n.plural('nav.missed', count))).toEqual(['0 missed calls', '1 missed call', '2 missed calls']);
    i18n.locale = 'fr';
    expect(i18n.plural('nav.missed', 0)).toBe('0 appel manqué');
  });

  it('keep a name that looks like a place as it is', () => {
    expect(fill('{name}!', { name: '{other} $& $1', other: 'x' })).toBe('{other} $& $1!');
    expect(fill('{missing}', {})).toBe('{missing}');
  });

  it('are not turned by a name that is written from right to left', () => {
    expect(fill('Call {name} (2)', { name: 'דוד' })).toBe('Call \u2068דוד\u2069 (2)');
  });
});

describe('a name from outside', () => {
  it.each([
    ['as it is', 'Amélie Durand', 'Amélie Durand'],
    ['without controls and line ends', 'a\u0000b\n\nc\u0007', 'a b c'],
    ['without what turns the text around it', '\u202eevil\u2069 x\u2066', 'evil x'],
    ['empty where nothing can be seen', ' \u200b\u2060 ', ''],
    ['with its markup as text', '<b>x</b>', '<b>x</b>'],
  ])('is shown %s', (_, name, as) => {
    expect(shown(name)).toBe(as);
  });

  it('of 10,000 letters is cut, between letters and quickly', () => {
    expect(shown('W'.repeat(10_000))).toBe(`${'W'.repeat(120)}…`);
    expect(shown('👩'.repeat(5000))).toBe(`${'👩'.repeat(120)}…`);
  });

  it('stays in its own direction', () => {
    expect(isolated('Anna')).toBe('Anna');
    expect(isolated('سلام')).toBe('\u2068سلام\u2069');
  });

  it.each([
    ['Amélie Durand', 'AD'],
    ['mum', 'M'],
    ['Anna Maria von Berg', 'AB'],
    ['(work) Jo', 'J'],
    ['😀', '?'],
    ['', '?'],
  ])('%j has the letters %s', (name, letters) => {
    expect(initials(name)).toBe(letters);
  });

  it('has a colour that stays', () => {
    expect(hue('abc')).toBe(hue('abc'));
    expect(new Set(['a', 'b', 'c', 'd', 'e', 'f'].map(hue)).size).toBeGreaterThan(3);
  });
});

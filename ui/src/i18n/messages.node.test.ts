import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import de from './de.json';
import en from './en.json';
import fr from './fr.json';

const SRC = fileURLToPath(new URL('..', import.meta.url));
const all: Record<string, Record<string, string>> = { en, de, fr };
const keys = Object.keys(en);

const source = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(svelte|ts)$/.test(path) && !path.includes('.test.'))
  .map((path) => readFileSync(join(SRC, path), 'utf8'))
  .join('\n');

const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([place]) => place).sort();

describe.each(Object.keys(all))('the messages in %s', (language) => {
  const messages = all[language] ?? {};
  it('are complete, and none is too many', () => {
    expect(Object.keys(messages).sort()).toEqual([...keys].sort());
  });

  it('have the same places to fill', () => {
    for (const key of keys) expect(places(messages[key] ?? ''), key).toEqual(places((en as Record<string, string>)[key] ?? ''));
  });

  it('say something, and have no markup', () => {
    for (const [key, text] of Object.entries(messages)) {
      expect(text.trim(), key).not.toBe('');
      expect(text, key).not.toMatch(/[<>]|&\w+;/);
    }
  });
});

describe('the page', () => {
  // A key stands in the source as it is, or as the stem of a plural.
  const isUsed = (key: string) => {
    const stem = key.replace(/\.(one|other)$/, '');
    return source.includes(`'${key}'`) || (stem !== key && source.includes(`plural('${stem}'`));
  };

  it('uses every message', () => {
    expect(keys.filter((key) => !isUsed(key))).toEqual([]);
  });

  it('has both forms of every plural', () => {
    const stems = keys.filter((key) => key.endsWith('.one')).map((key) => key.slice(0, -4));
    for (const stem of stems) expect(keys).toContain(`${stem}.other`);
  });

  it('makes no markup out of data', () => {
    expect(source).not.toContain('{@html');
    expect(source).not.toMatch(/\b(inner|outer)HTML\s*=|insertAdjacentHTML|document\.write/);
  });

  it('has no words of its own in its views', () => {
    const words = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.svelte'))
      .flatMap((path) => {
        const text = readFileSync(join(SRC, path), 'utf8');
        // Text between tags, with everything in braces taken out, innermost first.
        let markup = text.replace(/<(script|style)[\s\S]*?<\/\1>/g, '').replace(/<!--[\s\S]*?-->/g, '');
        for (let before = ''; before !== markup; ) {
          before = markup;
          markup = markup.replace(/\{[^{}]*\}/g, '');
        }
        return [...markup.matchAll(/>([^<>]*\p{L}{2,}[^<>]*)</gu)].map(([, found]) => `${path}: ${found?.trim()}`);
      });
    // Languages are named in themselves, a key's name is what stands on it.
    expect(words.filter((found) => !/English|Deutsch|Français/.test(found))).toEqual([]);
  });
});

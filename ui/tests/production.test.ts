import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const files = (folder: string) => {
  const root = fileURLToPath(new URL(`../${folder}`, import.meta.url));
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(html|js|css)$/.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
};

const traces = /bridge-lost|must be on loopback|no scenario|Priya Raman/;

describe('what is shipped', () => {
  it('can be driven by nothing but its shell', () => {
    expect(files('dist').filter(({ text }) => traces.test(text)).map(({ path }) => path)).toEqual([]);
    expect(files('dist-test').some(({ text }) => traces.test(text))).toBe(true);
  });

  it('has nothing inline that the shell’s content policy would stop', () => {
    const html = files('dist').find(({ path }) => path === 'index.html')?.text ?? '';
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
    for (const { path, text } of files('dist')) {
      if (path.endsWith('.js')) expect(/<\w+[^>`]*\sstyle="/.test(text), path).toBe(false);
    }
  });

  it('asks nobody else for anything', () => {
    for (const { path, text } of files('dist')) {
      const urls = text.match(/https?:\/\/[\w.-]+/g) ?? [];
      expect(urls.filter((url) => !/w3\.org|svelte\.dev/.test(url)), path).toEqual([]);
    }
  });
});

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { launch, serve } from '../scripts/browser.mjs';

let browser: Browser;
let site: Awaited<ReturnType<typeof serve>>;
let page: Page;
let errors: string[];

beforeAll(async () => {
  site = await serve('dist-test');
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});
beforeEach(async () => {
  errors = [];
  page = await browser.newPage({ viewport: { width: 1100, height: 720 }, reducedMotion: 'reduce' });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
});
afterEach(async () => {
  await page.close();
  expect(errors).toEqual([]);
});

async function open(scenario: string) {
  await page.goto(`${site.origin}/?fake=${scenario}`);
  await page.waitForSelector('main:not(.waiting)');
}

const $ = (name: string) => `[data-test="${name}"]`;

/** What has the focus, and whether that can be seen. */
const focused = () =>
  page.evaluate(() => {
    const element = document.activeElement as HTMLElement | null;
    if (!element || element === document.body) return null;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const name = element.dataset.test ?? element.getAttribute('aria-label') ?? element.textContent?.trim() ?? '';
    return { name, seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
  });

async function tabTo(name: string, most = 60) {
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press('Tab');
    if ((await focused())?.name === name) return;
  }
  throw new Error(`Tab does not lead to ${name}`);
}

describe('by keyboard alone', () => {
  it('everything in a view is reached once, in its order, and can be seen to be', async () => {
    await open('contacts');
    const names: string[] = [];
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press('Tab');
      const now = await focused();
      // Past the last the focus leaves the page: it is no trap.
      if (!now) break;
      expect(now.seen, now.name).toBe(true);
      names.push(now.name);
    }
    expect(names.slice(0, 7)).toEqual(['nav-contacts', 'nav-history', 'nav-add', 'nav-settings', 'nav-help', 'presence', 'search']);
    expect(names.filter((name) => name === 'call-video')).toHaveLength(7);
    expect(names.length).toBeLessThan(60);
  });

  it('a call is made, muted, left for the contacts, taken up again and ended', async () => {
    await open('contacts');
    await tabTo('call-video');
    await page.keyboard.press('Enter');
    await page.waitForSelector(`${$('call')}[data-phase="active"]`);
    await tabTo('mute');
    await page.keyboard.press('Enter');
    await page.waitForSelector(`${$('mute')}.off`);
    await page.keyboard.press('Control+d');
    await page.waitForSelector(`${$('mute')}:not(.off)`);
    await page.keyboard.press('Control+1');
    await page.waitForSelector($('overlay'));
    await tabTo('overlay-open');
    await page.keyboard.press('Enter');
    await page.waitForSelector($('call'));
    await page.keyboard.press('Control+Shift+H');
    await page.waitForSelector(`${$('call')}[data-phase="ended"]`);
    await tabTo('call-close');
    await page.keyboard.press('Enter');
    await page.waitForSelector($('search'));
  });

  it('a call that rings is answered, but not by who is typing', async () => {
    await open('incoming');
    await page.focus($('search'));
    await page.keyboard.press('Control+Backspace');
    await page.keyboard.press('Control+Enter');
    expect(await page.isVisible($('incoming'))).toBe(true);
    await page.keyboard.press('F6');
    await page.keyboard.press('Control+Enter');
    await page.waitForSelector(`${$('call')}[data-phase="active"]`);
  });

  it('a dialog keeps the focus, closes by Escape, and gives it back', async () => {
    await open('contacts');
    await tabTo('nav-help');
    await page.keyboard.press('Enter');
    await page.waitForSelector($('help'));
    for (let step = 0; step < 8; step += 1) {
      await page.keyboard.press('Tab');
      const inside = await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null);
      expect(inside).toBe(true);
    }
    await page.keyboard.press('Escape');
    await page.waitForSelector($('help'), { state: 'detached' });
    expect((await focused())?.name).toBe('nav-help');
  });

  it('the own picture goes from corner to corner', async () => {
    await open('call');
    await tabTo('own-picture');
    await page.keyboard.press('ArrowUp');
    await page.waitForSelector(`${$('own-picture')}[data-corner="top-right"]`);
    await page.keyboard.press('ArrowLeft');
    await page.waitForSelector(`${$('own-picture')}[data-corner="top-left"]`);
  });
});

describe('by pointer', () => {
  it('the own picture follows, and stays in the nearest corner', async () => {
    await open('call');
    // Waits until the picture has its place.
    await page.locator($('own-picture')).hover({ position: { x: 20, y: 20 } });
    await page.mouse.down();
    await page.mouse.move(200, 200, { steps: 4 });
    await page.mouse.up();
    await page.waitForSelector(`${$('own-picture')}[data-corner="top-left"]`);
  });
});

describe('what comes from others', () => {
  it('is never markup, and breaks no line', async () => {
    await open('hostile');
    for (const contact of await page.locator(`${$('contact')} .person`).all()) {
      await contact.click();
      await page.waitForSelector($('contact-page'));
    }
    expect(await page.evaluate(() => [document.title, document.querySelectorAll('b, img').length, document.documentElement.scrollWidth <= innerWidth])).toEqual(['Ahoy', 0, true]);
    const heights = await page.locator(`${$('contact')} bdi`).evaluateAll((names) => names.map((name) => name.getBoundingClientRect().height));
    expect(Math.max(...heights)).toBeLessThan(30);
  });

  it('as an invite link that is none is answered by what to do', async () => {
    await open('contacts');
    await page.click($('nav-add'));
    await page.fill($('invite-link-field'), 'https://example.org/');
    await page.click($('invite-add'));
    await page.waitForSelector(`${$('notice')}[data-code="invite-malformed"]`);
    expect(await page.inputValue($('invite-link-field'))).toBe('https://example.org/');
    await page.click(`${$('notice')} button`);
    await page.waitForSelector($('notice'), { state: 'detached' });
  });
});

describe('settings', () => {
  it('take effect at once: language, appearance, the webview that cannot call', async () => {
    await open('webview-cannot');
    await page.click($('switch-native'));
    await page.waitForSelector($('webview-cannot'), { state: 'detached' });
    await page.click($('nav-settings'));
    await page.selectOption($('theme'), 'dark');
    await page.selectOption($('language'), 'de');
    await page.waitForSelector('text=Einstellungen');
    expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme])).toEqual(['de', 'dark']);
  });

  it('of the first start are done, or skipped', async () => {
    await open('first-run');
    await page.fill($('first-name'), 'Kim');
    await page.click($('first-done'));
    await page.waitForSelector('bdi:text("Kim")');
  });
});

// Every view from the scripted scenarios, light and dark, into screenshots/, and an accessibility audit of each.
// Needs the test build: npm run build:test. With words as arguments, only the shots whose names hold one of them.
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { launch, serve } from './browser.mjs';

const OUT = fileURLToPath(new URL('../screenshots/', import.meta.url));
const WIDE = { width: 1100, height: 720 };
/** What a window of 1280 x 960 has left for the page at 200 %. */
const ZOOMED = { viewport: { width: 640, height: 480 }, deviceScaleFactor: 2 };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const $ = (name) => `[data-test="${name}"]`;
const wanted = process.argv.slice(2);

const picture = (page) => page.waitForSelector(`${$('remote')}.shown`);

/** name, scenario, what to do before the picture is taken */
const SHOTS = [
  ['contacts', 'contacts'],
  ['contact', 'contacts', (page) => page.click(`${$('contact')}:nth-child(2) .person`)],
  ['echo', 'empty', (page) => page.click(`${$('contact')} .person`)],
  ['no-calls', 'contacts', (page) => page.click(`li:has(${$('no-calls')}) .person`)],
  ['remove', 'contacts', async (page) => {
    await page.click(`${$('contact')}:nth-child(2) .person`);
    await page.click($('remove'));
  }],
  ['first-run', 'first-run', (page) => page.waitForSelector('[data-test="preview"][data-state="playing"]')],
  ['add', 'contacts', (page) => page.click($('nav-add'))],
  ['invite', 'contacts', async (page) => {
    await page.click($('nav-add'));
    await page.click($('invite-create'));
    await page.waitForSelector($('invite-link'));
  }],
  ['incoming', 'incoming', (page) => page.waitForSelector($('incoming'))],
  ['incoming-audio', 'incoming-audio', (page) => page.waitForSelector($('incoming'))],
  ['ringing', 'ringing', (page) => page.waitForSelector($('own-picture'))],
  ['call', 'call', picture],
  ['call-stats', 'call', async (page) => {
    await picture(page);
    await page.click($('stats'));
    await page.waitForSelector('[data-stat="bitrate"] path');
  }],
  ['call-devices', 'call', async (page) => {
    await picture(page);
    await page.click($('devices'));
  }],
  ['call-audio', 'call-audio', (page) => page.waitForSelector($('call'))],
  ['slow', 'slow-sending', picture],
  ['connection', 'slow-sending', async (page) => {
    await picture(page);
    await page.click($('quality'));
    await page.waitForSelector($('connection-menu'));
  }],
  ['lossy', 'lossy', picture],
  ['paused-here', 'paused-here', (page) => page.waitForSelector($('own-paused'))],
  ['paused-there', 'paused-there', (page) => page.waitForSelector($('paused-there'))],
  ['unheard', 'unheard', picture],
  ['held', 'held', (page) => page.waitForSelector($('call'))],
  ['reconnecting', 'reconnecting', (page) => page.waitForSelector($('call'))],
  ['ended', 'call', async (page) => {
    await picture(page);
    await page.click($('hang-up'));
    await page.waitForSelector('[data-phase="ended"]');
  }],
  ['overlay', 'call', async (page) => {
    await picture(page);
    await page.click($('call-leave'));
    await page.click(`${$('contact')}:nth-child(3) .person`);
    await page.waitForSelector(`${$('overlay')} .shown`);
  }],
  ['history', 'contacts', (page) => page.click($('nav-history'))],
  ['settings', 'contacts', async (page) => {
    await page.click($('nav-settings'));
    await page.click($('test-camera'));
    await page.waitForSelector('[data-test="preview"][data-state="playing"]');
  }],
  ['settings-video', 'contacts', async (page) => {
    await page.click($('nav-settings'));
    await page.locator($('video-quality')).scrollIntoViewIfNeeded();
  }],
  ['settings-end', 'contacts', async (page) => {
    await page.click($('nav-settings'));
    await page.locator($('relay-only')).scrollIntoViewIfNeeded();
  }],
  ['help', 'contacts', (page) => page.keyboard.press('F1')],
  ['webview-cannot', 'webview-cannot'],
  ['calls-off', 'calls-off'],
  ['notices', 'notices'],
  ['empty', 'empty'],
  ['hostile', 'hostile', (page) => page.click(`${$('contact')}:nth-child(2) .person`)],
];

const looks = [
  { name: 'light', query: '', options: { viewport: WIDE, colorScheme: 'light' } },
  { name: 'dark', query: '', options: { viewport: WIDE, colorScheme: 'dark' } },
  { name: 'zoom200', query: '', options: { ...ZOOMED, colorScheme: 'light' } },
  { name: 'de', query: '&language=de', options: { viewport: WIDE, colorScheme: 'light' } },
  { name: 'fr-zoom200', query: '&language=fr', options: { ...ZOOMED, colorScheme: 'dark' } },
];

/** What sticks out of the window to the side: at 200 % nobody should have to scroll two ways. */
function clipped() {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push(`page is ${document.documentElement.scrollWidth} wide`);
  for (const element of document.querySelectorAll('button, input, select, h1, h2, label')) {
    const { left, right, width } = element.getBoundingClientRect();
    if (width > 1 && (left < -1 || right > innerWidth + 1)) found.push(`${element.outerHTML.slice(0, 90)} at ${left}..${right}`);
    if (element.matches('button') && element.scrollWidth > element.clientWidth + 2) found.push(`cut: ${element.textContent.trim().slice(0, 40)}`);
  }
  return found;
}

await mkdir(OUT, { recursive: true });
const site = await serve('dist-test');
const browser = await launch();
let failures = 0;
const fail = (name, what) => {
  failures += 1;
  console.error(`${name}: ${what}`);
};

for (const look of looks) {
  const context = await browser.newContext({ ...look.options, locale: 'en-GB', reducedMotion: 'reduce' });
  // As in the shell's window.
  await context.addInitScript('Object.freeze(Object.prototype)');
  for (const [shot, scenario, prepare] of SHOTS) {
    const name = `${shot}-${look.name}`;
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
    const page = await context.newPage();
    page.on('pageerror', (error) => fail(name, `page error: ${error.stack ?? error}`));
    page.on('console', (message) => message.type() === 'error' && fail(name, `console: ${message.text()}`));
    try {
      await page.goto(`${site.origin}/?fake=${scenario}${look.query}`);
      await page.waitForSelector('main:not(.waiting)');
      await prepare?.(page);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.screenshot({ path: `${OUT}${name}.png` });
      for (const found of await page.evaluate(clipped)) fail(name, `clipped: ${found}`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() =>
        globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
      );
      for (const { id, impact, help, nodes } of violations) {
        const where = nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary?.split('\n')[1]?.trim()})`).slice(0, 3);
        const line = `axe ${impact} ${id}: ${help}\n    ${where.join('\n    ')}`;
        if (impact === 'serious' || impact === 'critical') fail(name, line);
        else console.warn(`${name}: ${line}`);
      }
    } catch (error) {
      fail(name, error.message);
    }
    await page.close();
  }
  await context.close();
}

await browser.close();
await site.close();
console.log(failures === 0 ? 'all views are as they should be' : `${failures} failures`);
process.exitCode = failures === 0 ? 0 : 1;

import { type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launch, type Routes, serve } from '../scripts/browser.mjs';
import { aCall, emptyStart } from '../src/ipc/fake';
import { Shell, TOKEN } from './shell';
import { colours, LiveStream } from './vp8';

const [WIDTH, HEIGHT] = [640, 360];
let browser: Browser;
let frames: Uint8Array[];

beforeAll(async () => {
  frames = colours(['red', 'lime', 'blue'], WIDTH, HEIGHT);
  browser = await launch();
});
afterAll(() => browser?.close());

/** The colour in the middle of what is shown, by name; also how much of it is painted. */
const seen = (page: Page) =>
  page.evaluate(() => {
    const shown = document.querySelector<HTMLCanvasElement | HTMLVideoElement>('[data-test=remote] :is(canvas, video)');
    if (!shown) return null;
    const copy = new OffscreenCanvas(1, 1);
    const context = copy.getContext('2d');
    const video = shown instanceof HTMLVideoElement ? shown : null;
    const [width, height] = video ? [video.videoWidth, video.videoHeight] : [shown.width, shown.height];
    if (!width || !context) return null;
    context.drawImage(shown, width / 2, height / 2, 1, 1, 0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
    const name = red > 180 && green < 90 ? 'red' : green > 180 && red < 90 ? 'lime' : blue > 180 && red < 90 ? 'blue' : 'other';
    const behind = video && video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
    return { name, width, element: shown.tagName, behind };
  });

async function until(page: Page, colour: string) {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const now = await seen(page);
    if (now?.name === colour) return now;
    if (Date.now() > deadline) throw new Error(`no ${colour}, but ${JSON.stringify(now)}`);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

async function withCall(prepare: (page: { addInitScript(script: string): Promise<void> }) => Promise<void>, test: (page: Page, stream: LiveStream, requests: URL[]) => Promise<void>) {
  const stream = new LiveStream(frames, WIDTH, HEIGHT);
  const requests: URL[] = [];
  const media: Routes = async (url, request, response) => {
    if (!url.pathname.startsWith('/media/')) return false;
    requests.push(url);
    if (url.pathname !== '/media/remote-1') response.writeHead(404).end();
    else {
      const { body, next } = await stream.read(url.searchParams.get('after'));
      if (!request.destroyed) response.writeHead(200, { 'content-type': 'video/webm', 'x-ahoy-cursor': next }).end(body);
    }
    return true;
  };
  const site = await serve('dist-test', media);
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 } });
  try {
    await prepare({ addInitScript: (script) => context.addInitScript(script).then(() => {}) });
    const shell = new Shell({ ...emptyStart(), call: aCall({ localStream: null }) });
    const page = await shell.open(context, site.origin);
    expect(shell.urls[0]).toContain(`token=${TOKEN}`);
    await test(page, stream, requests);
  } finally {
    await context.close();
    await site.close();
  }
}

describe('a live stream is shown', () => {
  it('by WebCodecs on a canvas of no more pixels than are seen', () =>
    withCall(
      async () => {},
      async (page, stream, requests) => {
        expect(await until(page, 'red')).toMatchObject({ element: 'CANVAS' });
        await until(page, 'lime');
        const { width } = await until(page, 'blue');
        expect(width).toBeLessThanOrEqual(WIDTH);
        expect(requests.every((url) => url.searchParams.get('token') === TOKEN)).toBe(true);
        expect(requests[0]?.searchParams.has('after')).toBe(false);
        // In the overlay it is the same element, and no reader begins anew.
        await page.click('[data-test=call-leave]');
        await page.waitForSelector('[data-test=overlay] canvas');
        expect(requests.filter((url) => !url.searchParams.has('after'))).toHaveLength(1);
        const small = await page.evaluate(() => document.querySelector('[data-test=overlay] canvas')?.getBoundingClientRect().width);
        expect(small).toBeLessThan(300);
        expect(stream.reads).toBeGreaterThan(5);
      },
    ));

  it('by MediaSource at its live edge where there is no WebCodecs', () =>
    withCall(
      (page) => page.addInitScript('delete window.VideoDecoder'),
      async (page) => {
        expect(await until(page, 'red')).toMatchObject({ element: 'VIDEO' });
        const { behind } = await until(page, 'lime');
        expect(behind).toBeLessThan(0.5);
        await until(page, 'blue');
        await page.click('[data-test=call-leave]');
        await page.waitForSelector('[data-test=overlay] video');
        expect((await page.evaluate(() => document.querySelector<HTMLVideoElement>('[data-test=overlay] video')?.paused))).toBe(false);
      },
    ));

  it('not at all where there is neither, and the page says which package is missing', () =>
    withCall(
      (page) => page.addInitScript('delete window.VideoDecoder; delete window.MediaSource'),
      async (page) => {
        await page.waitForSelector('text=gstreamer1.0-plugins-good');
      },
    ));
});

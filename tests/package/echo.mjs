// echo.mjs PORT PROGRAM SCREEN PICTURE: by the WebKitWebDriver at PORT starts PROGRAM for the first time,
// lets it call Echo with the test pattern, and reads from SCREEN, the X server's file, that the pattern comes
// back with rising numbers. Leaves a copy in PICTURE.
import { copyFile, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const [port, program, screen, picture] = process.argv.slice(2);
/** For a machine that compiles beside it. */
const LIMIT_MS = 120_000;
const POLL_MS = 100;
/** A second of the picture. */
const FRAMES = 30;
/** By this key an element's reference is told from other objects (WebDriver, section 12). */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

async function request(method, path, body) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

/** What `attempt` gives, once it gives something and does not throw. */
async function until(what, attempt) {
  const end = Date.now() + LIMIT_MS;
  for (let last = 'no'; ; await sleep(POLL_MS)) {
    try {
      const value = await attempt();
      if (value) return value;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what} (${last})`);
  }
}

await until('the driver listens', () => request('GET', '/status'));
const options = { binary: program, args: ['--loopback-only'] };
const started = Date.now();
const { sessionId } = await request('POST', '/session', {
  capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': options } },
});
const post = (path, body) => request('POST', `/session/${sessionId}${path}`, body);
const execute = (script, ...args) => post('/execute/sync', { script, args });
const test = (name) => `[data-test="${name}"]`;
const find = async (css) => (await post('/element', { using: 'css selector', value: css }))[ELEMENT];
const seen = (css) => until(`${css} is seen`, () => execute('return document.querySelector(arguments[0])?.checkVisibility()', css));
/**
 * The app reports what the bare system lacks (a sound server, a camera, a tray) in notices. A notice that covers the
 * form is closed.
 */
const dismiss = () => execute(`document.querySelector('${test('notice')} button')?.click()`);
const click = (css) =>
  until(`${css} is clicked`, async () => {
    try {
      await post(`/element/${await find(css)}/click`, {});
    } catch (error) {
      if (error.message.startsWith('element click intercepted')) await dismiss();
      throw error;
    }
    return true;
  });
const type = (css, text) =>
  until(`${css} is typed into`, async () => (await post(`/element/${await find(css)}/value`, { text }), true));
/**
 * A line of what the X server shows, from its own file (XWD, version 7: fields of 32 bits, most significant byte
 * first). Each pixel is blue, green, red and one byte more.
 */
async function line({ x, y, width }) {
  const file = await open(screen);
  try {
    const { buffer: header } = await file.read(Buffer.alloc(100), 0, 100, 0);
    const [headerSize, lineLength, colours] = [0, 12, 19].map((field) => header.readUInt32BE(4 * field));
    const pixels = Buffer.alloc(4 * Math.round(width));
    await file.read(pixels, 0, pixels.length, headerSize + 12 * colours + Math.round(y) * lineLength + 4 * Math.round(x));
    return pixels;
  } finally {
    await file.close();
  }
}

/** The counter in the second row of cells of the test pattern (docs/architecture.md) on the screen; or null. */
async function counter() {
  const box = await execute(`return document.querySelector('${test('remote')}.shown .picture')?.getBoundingClientRect()`);
  if (!box) return null;
  // The window is in the upper left corner, and the picture of 16:9 whole in the middle of its box.
  const width = Math.min(box.width, (box.height * 16) / 9);
  const height = (width * 9) / 16;
  const pixels = await line({ x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2 + 0.15 * height, width });
  const level = (cell) => pixels[4 * Math.floor(((cell + 0.5) * pixels.length) / 4 / 26) + 1] / 255;
  if ([0, 25].some((cell) => Math.abs(level(cell) - 0.5) > 0.2)) return null;
  return Array.from({ length: 24 }, (_, bit) => (level(bit + 1) > 0.5 ? 2 ** bit : 0)).reduce((a, b) => a + b);
}

try {
  await seen(test('first-run'));
  console.log(`first start: ${Date.now() - started} ms from the driver's start to the page`);
  await type(test('first-name'), 'Ada');
  await click(`${test('device-camera')} option[value=pattern]`);
  await click(`${test('device-microphone')} option[value=tone]`);
  await click(test('first-done'));
  await click(`${test('contact')} .person`);
  await click(`${test('contact-page')} ${test('call-video')}[aria-disabled=false]`);
  await seen('[data-test=call][data-phase=active]');
  const counters = new Set();
  await until(`${FRAMES} frames come back`, async () => {
    const shown = await counter();
    if (shown !== null) counters.add(shown);
    return counters.size >= FRAMES;
  });
  const order = [...counters];
  if (order.some((number, n) => n > 0 && number <= order[n - 1])) throw new Error(`frames out of order: ${order}`);
  await copyFile(screen, picture);
  console.log(`Echo showed ${order.length} frames of ours, ${order[0]} to ${order.at(-1)}`);
  await click(test('hang-up'));
  await seen('[data-phase=ended]').catch(() => seen(test('contact')));
} catch (error) {
  console.error(`echo: ${error.message}\n${await execute('return document.body.innerText').catch(() => '')}`);
  process.exitCode = 1;
} finally {
  await request('DELETE', `/session/${sessionId}`);
}

import { isDeepStrictEqual } from 'node:util';

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { launch, serve } from '../scripts/browser.mjs';
import { aCall, emptyStart } from '../src/ipc/fake';
import type { Call, SignalPayload, Start } from '../src/ipc/types';
import { Shell } from './shell';

// Two pages whose calls run in the webview's own WebRTC; the test carries their signaling, as two shells would.

/** Remembers the page's connections, for the test to ask them what they send. */
const RECORD = `
  window.connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) { super(...args); window.connections.push(this); }
  };
`;

let browser: Browser;
let site: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  site = await serve('dist-test');
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

interface Side {
  shell: Shell;
  page: Page;
  call: Call;
  tell(more: Partial<Call>): void;
}

async function side(direction: Call['direction'], other: () => Side): Promise<Side> {
  const empty = emptyStart();
  const start: Start = {
    ...empty,
    settings: { ...empty.settings, experimentalCalls: false },
    mediaMode: { mode: 'browser', why: 'setting', canBrowser: true },
  };
  const shell = new Shell(start, {
    signal_send: ({ payload }: { payload: SignalPayload }) => {
      if (payload.type === 'link') return;
      const peer = other();
      peer.shell.emit({ type: 'signal', call: peer.call.id, payload });
    },
  });
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  await context.addInitScript(RECORD);
  const page = await shell.open(context, site.origin);
  const made: Side = {
    shell,
    page,
    call: aCall({ id: `call-${direction}`, direction, mode: 'browser', phase: 'connecting', startedAt: null, route: null, remoteStream: null, localStream: null }),
    tell(more) {
      made.call = { ...made.call, ...more };
      shell.emit({ type: 'call', call: made.call });
    },
  };
  return made;
}

/** Packets sent and received so far, by kind. */
const packets = (page: Page) =>
  page.evaluate(async () => {
    const [connection] = (window as unknown as { connections: RTCPeerConnection[] }).connections;
    const all: Record<string, number> = {};
    for (const entry of (await connection?.getStats())?.values() ?? []) {
      if (entry.type === 'outbound-rtp') all[`${entry.kind} sent`] = entry.packetsSent;
      if (entry.type === 'inbound-rtp') all[`${entry.kind} received`] = entry.packetsReceived;
    }
    return all;
  });

async function until(what: () => Promise<boolean>, name: string) {
  const deadline = Date.now() + 20_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether a count stands still or grows over the time of some 25 packets of sound. */
async function grows(page: Page, what: string): Promise<boolean> {
  const before = (await packets(page))[what] ?? 0;
  await new Promise((resolve) => setTimeout(resolve, 500));
  return ((await packets(page))[what] ?? 0) > before;
}

const shown = (page: Page) =>
  page.evaluate(() => {
    const video = document.querySelector<HTMLVideoElement>('[data-test=remote] video');
    return video && video.videoWidth > 0 && !video.paused ? video.getVideoPlaybackQuality().totalVideoFrames : 0;
  });

describe('a call in the webview’s own WebRTC', () => {
  it('connects, shows both, and sends nothing of what is off', async () => {
    const sides: Side[] = [];
    const caller = await side('outgoing', () => sides[1] as Side);
    sides.push(caller);
    const callee = await side('incoming', () => sides[0] as Side);
    sides.push(callee);

    for (const each of sides) each.tell({ phase: 'connecting' });
    for (const { shell } of sides) await shell.heard((cmd, { payload }) => cmd === 'signal_send' && isDeepStrictEqual(payload, { type: 'link', state: 'connected' }));
    for (const each of sides) each.tell({ phase: 'active', startedAt: Date.now() });
    await callee.page.evaluate(() => 0);
    await callee.shell.emit({ type: 'open', view: 'call', link: null });
    for (const { page } of sides) await until(async () => (await shown(page)) > 10, 'a moving picture');
    await until(() => grows(callee.page, 'audio received'), 'sound');
    expect(await caller.page.textContent('[data-test=route]')).toContain('Direct');

    caller.tell({ wanted: { audio: false, video: true } });
    await until(async () => !(await grows(caller.page, 'audio sent')), 'no packet of a muted microphone');
    expect(await grows(caller.page, 'video sent')).toBe(true);

    caller.tell({ wanted: { audio: true, video: false } });
    await until(async () => !(await grows(caller.page, 'video sent')), 'no packet of a camera that is off');
    await until(() => grows(caller.page, 'audio sent'), 'sound again');
    expect(await caller.page.isVisible('[data-test=own-picture]')).toBe(false);

    caller.tell({ wanted: { audio: true, video: true } });
    await until(() => grows(callee.page, 'video received'), 'the picture again');

    callee.tell({ phase: 'held', heldHere: true });
    await until(async () => !(await grows(callee.page, 'audio sent')) && !(await grows(callee.page, 'video sent')), 'nothing from who holds');
    callee.tell({ phase: 'active', heldHere: false });
    await until(() => grows(callee.page, 'audio sent'), 'sound after hold');

    await caller.page.click('[data-test=stats]');
    await caller.page.waitForSelector('[data-stat=bitrate] path');
    for (const each of sides) each.tell({ phase: 'ended', end: { reason: 'hangup', text: '' } });
    await until(
      () => caller.page.evaluate(() => (window as unknown as { connections: RTCPeerConnection[] }).connections.every(({ connectionState }) => connectionState === 'closed')),
      'closed connections',
    );
    expect(await caller.page.textContent('[data-test=notice]', { timeout: 100 }).catch(() => null)).toBeNull();
  });
});

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { i18n } from '../i18n/i18n.svelte';
import { aCall, emptyStart, FakeIpc } from '../ipc/fake';
import type { Settings, Start } from '../ipc/types';
import { App } from './app.svelte';
import { keysOf, press, SHORTCUTS } from './shortcuts';

const surroundings = { languages: ['en'], rtcPeerConnection: false, visible: () => true };

async function started(more: Partial<Start> = {}, settings: Partial<Settings> = {}) {
  const empty = emptyStart();
  const start: Start = { ...empty, ...more, settings: { ...empty.settings, ...settings } };
  const ipc = new FakeIpc({
    start: () => start,
    media_mode: ({ rtcPeerConnection }) => ({ mode: 'native', why: 'setting', canBrowser: rtcPeerConnection }),
    settings_set: ({ patch }) => ({ ...start.settings, ...patch }),
    call_start: () => aCall({ phase: 'calling', remoteStream: null, localStream: null }),
  });
  const app = new App(ipc, surroundings);
  for (const picture of [app.call.remote, app.call.local, app.preview]) picture.follow = vi.fn(async () => {});
  await app.start();
  return { app, ipc };
}

const silent = { remoteStream: null, localStream: null };

describe('at the start', () => {
  it('the page listens before it asks, and reports its webview', async () => {
    const { app, ipc } = await started();
    expect(app).toMatchObject({ ready: true, view: 'contacts', me: { name: 'Robin' } });
    expect(ipc.argsOf('media_mode')).toEqual([{ rtcPeerConnection: false }]);
  });

  it('a new user is welcomed', async () => {
    const { app, ipc } = await started({}, { firstRunDone: false });
    expect(app.view).toBe('first-run');
    await app.finishFirstRun('  Kim ');
    expect(ipc.argsOf('settings_set')).toEqual([{ patch: { firstRunDone: true, name: 'Kim' } }]);
    expect(app.view).toBe('contacts');
  });

  it('a new user who skips keeps the name that there is', async () => {
    const { app, ipc } = await started({}, { firstRunDone: false });
    await app.finishFirstRun('');
    expect(ipc.argsOf('settings_set')).toEqual([{ patch: { firstRunDone: true } }]);
  });

  it('a new user gets on where the settings cannot be kept', async () => {
    const { app, ipc } = await started({}, { firstRunDone: false });
    ipc.answers.settings_set = () => Promise.reject({ code: 'settings-not-written', what: 'Disk full.', todo: 'Free some space.' });
    await app.finishFirstRun('');
    expect(app.view).toBe('contacts');
    expect(app.session.notices.shown[0]?.notice.code).toBe('settings-not-written');
  });

  it('a call that runs is shown, one that rings asks', async () => {
    expect((await started({ call: aCall(silent) })).app.view).toBe('call');
    expect((await started({ call: aCall({ ...silent, phase: 'incoming', direction: 'incoming' }) })).app.view).toBe('contacts');
  });

  it('a presence is told, and do not disturb is kept as a setting: it rings no more', async () => {
    const { app, ipc } = await started();
    await app.settings.setPresence('do-not-disturb');
    expect(ipc.argsOf('settings_set')).toEqual([{ patch: { doNotDisturb: true } }]);
    expect(ipc.argsOf('presence_set')).toEqual([]);
    expect(app.settings.presence).toBe('do-not-disturb');
    await app.settings.setPresence('away');
    expect(ipc.argsOf('settings_set')[1]).toEqual({ patch: { doNotDisturb: false } });
    expect(ipc.argsOf('presence_set')).toEqual([{ presence: 'away' }]);
    expect(app.settings.presence).toBe('away');
  });

  it('a shell that fails is told about', async () => {
    const ipc = new FakeIpc({ start: () => Promise.reject({ code: 'store-locked', what: 'In use.', todo: 'Close the other.' }) });
    const app = new App(ipc, surroundings);
    await app.start();
    expect(app.session.notices.shown[0]?.notice.code).toBe('store-locked');
    expect(app.ready).toBe(false);
  });

  it('speaks the language that is set', async () => {
    await started({}, { language: 'fr' });
    expect(i18n.locale).toBe('fr');
    await started({}, { language: 'system' });
    expect(i18n.locale).toBe('en');
  });
});

describe('during a call', () => {
  it('the user goes elsewhere and back, and it goes on', async () => {
    const { app } = await started();
    app.go('history');
    await app.startCall('peer-1', true);
    expect(app.view).toBe('call');
    app.leaveCall();
    expect(app.view).toBe('history');
    app.showContact('x');
    expect(app.call.live).toBe(true);
    app.go('call');
    expect(app.view).toBe('call');
  });

  it('its end is shown where it was shown, and elsewhere it is gone', async () => {
    const { app, ipc } = await started({ call: aCall(silent) });
    ipc.emit({ type: 'call', call: aCall({ ...silent, phase: 'ended' }) });
    expect(app.call.current?.phase).toBe('ended');
    app.leaveCall();
    expect(app.call.current).toBeNull();
  });

  it('that ends behind another view nothing is left', async () => {
    const { app, ipc } = await started({ call: aCall(silent) });
    app.leaveCall();
    ipc.emit({ type: 'call', call: aCall({ ...silent, phase: 'ended' }) });
    expect(app.call.current).toBeNull();
  });

  it('answered by a notification is shown like one that was answered here', async () => {
    const { app, ipc } = await started();
    const incoming = { ...silent, direction: 'incoming' } as const;
    ipc.emit({ type: 'call', call: aCall({ ...incoming, phase: 'incoming' }) });
    expect(app.view).toBe('contacts');
    ipc.emit({ type: 'call', call: aCall({ ...incoming, phase: 'connecting' }) });
    expect(app.view).toBe('call');
    // Who leaves it then is left alone.
    app.leaveCall();
    ipc.emit({ type: 'call', call: aCall({ ...incoming, phase: 'active' }) });
    expect(app.view).toBe('contacts');
  });

  it('begun by a notification or another window is brought forward', async () => {
    const { app, ipc } = await started();
    ipc.emit({ type: 'call', call: aCall({ ...silent, phase: 'connecting', direction: 'incoming' }) });
    expect(app.view).toBe('contacts');
    ipc.emit({ type: 'open', view: 'call', link: null });
    expect(app.view).toBe('call');
  });
});

describe('elsewhere', () => {
  it('an invite link that was opened is put in its field, and not taken by itself', async () => {
    const { app, ipc } = await started();
    ipc.emit({ type: 'open', view: 'invite', link: 'ahoy:abc' });
    expect(app).toMatchObject({ view: 'add', openedLink: 'ahoy:abc' });
    expect(ipc.argsOf('contacts_add')).toEqual([]);
  });

  it('missed calls are seen when the history is, and those that come meanwhile', async () => {
    const entry = { id: 1, peer: 'p', peerName: 'P', direction: 'incoming', video: false, startedAt: 1, answeredAt: null, endedAt: null, outcome: 'missed', reason: null, seen: false } as const;
    const { app, ipc } = await started({ history: [entry] });
    expect(app.history.unseen).toBe(1);
    expect(app.history.more).toBe(false);
    ipc.emit({ type: 'history', entries: [{ ...entry, id: 2 }, entry] });
    expect(ipc.argsOf('history_seen')).toHaveLength(0);
    app.go('history');
    expect(ipc.argsOf('history_seen')).toHaveLength(1);
    ipc.emit({ type: 'history', entries: [{ ...entry, id: 3 }] });
    expect(ipc.argsOf('history_seen')).toHaveLength(2);
  });

  it('who has used the invite link is told while it is shown', async () => {
    const contact = { id: 'a', name: 'Ada', ownName: null, presence: 'online', blocked: false, echo: false, lastSeen: null } as const;
    const { app, ipc } = await started({ contacts: [contact] });
    ipc.answers.invite_create = () => ({ link: 'ahoy:x', qrSvg: '', expiresAt: 0 });
    await app.invites.create();
    expect(app.invites.newcomer).toBeNull();
    ipc.emit({ type: 'contacts', contacts: [contact, { ...contact, id: 'b', name: 'Bob' }] });
    expect(app.invites.newcomer?.name).toBe('Bob');
    await app.invites.create();
    expect(app.invites.newcomer).toBeNull();
  });

  it('tests of devices end with the view that shows them', async () => {
    const { app, ipc } = await started();
    app.go('settings');
    await app.testCamera(true);
    expect(app.preview.follow).toHaveBeenLastCalledWith('preview');
    app.go('contacts');
    expect(ipc.argsOf('device_test')).toEqual([{ kind: 'camera', on: true }, { kind: 'camera', on: false }]);
    expect(app.preview.follow).toHaveBeenLastCalledWith(null);
  });

  it('a webview that is to call and cannot is told about, until calls run natively', async () => {
    const { app } = await started({}, { experimentalCalls: false });
    expect(app.settings.stuck).toBe(true);
    await app.settings.set({ experimentalCalls: true });
    expect(app.settings.stuck).toBe(false);
  });

  it('a setting that is refused stays', async () => {
    const { app, ipc } = await started();
    ipc.answers.settings_set = () => Promise.reject({ code: 'read-only', what: 'Cannot be saved.', todo: 'Free some space.' });
    expect(await app.settings.set({ relayOnly: true })).toBe(false);
    expect(app.settings.current.relayOnly).toBe(false);
    expect(app.session.notices.shown).toHaveLength(1);
  });

  it('the same notice is shown once, and no more than four', async () => {
    const { app, ipc } = await started();
    for (const code of ['a', 'a', 'b', 'c', 'd', 'e']) ipc.emit({ type: 'notice', notice: { code, what: code, todo: '' } });
    expect(app.session.notices.shown.map(({ notice }) => notice.code)).toEqual(['b', 'c', 'd', 'e']);
  });
});

describe('keys', () => {
  const page = { focusSearch: vi.fn(), fullScreen: vi.fn(), focusRinging: vi.fn(() => true) };
  const key = (name: string, more: Partial<KeyboardEvent> = {}) => ({ key: name, ctrlKey: true, shiftKey: false, altKey: false, metaKey: false, repeat: false, ...more });
  beforeEach(() => vi.clearAllMocks());

  it('lead everywhere', async () => {
    const { app } = await started();
    expect(press(key('2'), app, page)).toBe(true);
    expect(app.view).toBe('history');
    expect(press(key('F1', { ctrlKey: false }), app, page)).toBe(true);
    expect(app.help).toBe(true);
    press(key('f'), app, page);
    expect(page.focusSearch).toHaveBeenCalled();
  });

  it('mean nothing without Ctrl, so that typing does nothing', async () => {
    const { app } = await started({ call: aCall(silent) });
    for (const name of ['d', 'h', 'e', '2', 'Enter', 'Backspace']) expect(press(key(name, { ctrlKey: false }), app, page)).toBe(false);
  });

  it('answer and decline only what rings', async () => {
    const { app, ipc } = await started();
    expect(press(key('Enter'), app, page)).toBe(false);
    ipc.emit({ type: 'call', call: aCall({ ...silent, phase: 'incoming', direction: 'incoming' }) });
    expect(press(key('d'), app, page)).toBe(false);
    expect(press(key('Enter'), app, page)).toBe(true);
    expect(press(key('Enter', { shiftKey: true }), app, page)).toBe(true);
    expect(press(key('Backspace'), app, page)).toBe(true);
    const { id } = aCall();
    expect(ipc.argsOf('call_accept')).toEqual([{ call: id, video: true }, { call: id, video: false }]);
    expect(ipc.argsOf('call_decline')).toEqual([{ call: id }]);
  });

  it('answer nothing for who is typing, who gets to the buttons by F6', async () => {
    const { app, ipc } = await started();
    ipc.emit({ type: 'call', call: aCall({ ...silent, phase: 'incoming', direction: 'incoming' }) });
    expect(press(key('Backspace'), app, page, true)).toBe(false);
    expect(press(key('Enter'), app, page, true)).toBe(false);
    expect(press(key('F6', { ctrlKey: false }), app, page, true)).toBe(true);
    expect(page.focusRinging).toHaveBeenCalled();
  });

  it('mute, hold and hang up what runs', async () => {
    const { app, ipc } = await started({ call: aCall(silent) });
    for (const press_ of [key('D'), key('h'), key('H', { shiftKey: true })]) expect(press(press_, app, page)).toBe(true);
    expect(ipc.asked.map(({ command }) => command).slice(2)).toEqual(['call_audio', 'call_hold', 'call_hang_up']);
  });

  it('held down do nothing twice', async () => {
    const { app } = await started({ call: aCall(silent) });
    expect(press(key('d', { repeat: true }), app, page)).toBe(false);
  });

  it('are each there once', () => {
    const all = SHORTCUTS.map((shortcut) => keysOf(shortcut).join('+'));
    expect(new Set(all).size).toBe(all.length);
  });
});

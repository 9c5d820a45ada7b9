import { aCall as plainCall, emptyStart, FakeIpc } from '../fake';
import type { Ipc } from '../ipc';
import type { Call, Contact, DeviceKind, Settings, Start } from '../types';
import { AMELIE, devices, ECHO, history, hostile, nearby, people, requests, stats } from './people';
import { drawnMedia } from './pictures';
import qr from './qr.svg?raw';

// A whole app with nobody behind it, for looking at every view in a plain browser: `?fake=NAME`. Calls ring, are answered
// and end as if there were someone.

const RING_MS = 600;
const CONNECT_MS = 500;
const LINK = 'ahoy:01mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2tmnzyhfqwey3emvtgq';

const aCall = (more: Partial<Call> = {}) =>
  plainCall({ peer: AMELIE.id, peerName: AMELIE.name, startedAt: Date.now() - 754_000, ...more });

const NONE = { audio: false, video: false };
const quiet: Partial<Call> = { startedAt: null, remoteStream: null, route: null, quality: null, receiving: NONE };

function furnished(): Start {
  const now = Date.now();
  return {
    ...emptyStart(),
    me: { id: '77aa31c09be2', name: 'Robin Keller' },
    contacts: people(now),
    requests: requests(now),
    nearby,
    history: history(now),
    mediaMode: { mode: 'native', why: 'setting', canBrowser: true },
  };
}

const withCall = (more: Partial<Call>) => (start: Start) => ({ ...start, call: aCall(more) });
const withSettings = (settings: Partial<Settings>) => (start: Start) => ({ ...start, settings: { ...start.settings, ...settings } });

/** What each scenario has that the furnished app has not. */
const SCENARIOS: Record<string, (start: Start) => Start> = {
  contacts: (start) => start,
  'first-run': (start) => ({ ...withSettings({ firstRunDone: false, name: '' })(start), me: { id: 'me', name: '' }, history: [] }),
  empty: (start) => ({ ...start, contacts: [ECHO], requests: [], nearby: [], history: [] }),
  hostile: (start) => ({ ...start, contacts: hostile() }),
  incoming: withCall({ ...quiet, phase: 'incoming', direction: 'incoming', receiving: { audio: true, video: true }, localStream: null }),
  'incoming-audio': withCall({ ...quiet, phase: 'incoming', direction: 'incoming', receiving: { audio: true, video: false }, localStream: null }),
  ringing: withCall({ ...quiet, phase: 'ringing' }),
  call: withCall({}),
  'call-audio': withCall({ receiving: { audio: true, video: false }, wanted: { audio: true, video: false }, remoteStream: null, route: 'relayed', quality: 'fair', trouble: { reason: 'delay', flow: null } }),
  'slow-sending': withCall({ quality: 'fair', trouble: { reason: 'bandwidth', flow: 'sending' }, adapted: 'smaller' }),
  lossy: withCall({ quality: 'poor', trouble: { reason: 'loss', flow: 'receiving' }, route: 'relayed' }),
  'paused-here': withCall({ quality: 'poor', trouble: { reason: 'bandwidth', flow: 'sending' }, adapted: 'paused' }),
  'paused-there': withCall({ quality: 'poor', trouble: { reason: 'bandwidth', flow: 'receiving' }, receiving: { audio: true, video: false }, pausedThere: true }),
  unheard: withCall({ unheard: 'silent-microphone' }),
  held: withCall({ phase: 'held', heldThere: true }),
  reconnecting: withCall({ phase: 'reconnecting', quality: 'lost', trouble: { reason: 'outage', flow: null }, notices: [{ code: 'device-lost', what: 'The camera was unplugged.', todo: 'Plug it in again, or choose another one under Devices.' }] }),
  'webview-cannot': (start) => ({
    ...withSettings({ experimentalCalls: false })(start),
    mediaMode: { mode: 'browser', why: 'webview-cannot', canBrowser: false },
  }),
  'calls-off': withSettings({ videoDisabled: true }),
  notices: (start) => ({
    ...start,
    notices: [
      { code: 'settings-damaged', what: 'The settings file was damaged and was put aside as settings.json.damaged.', todo: 'Ahoy starts with its defaults; look through the settings.' },
      { code: 'no-sound-server', what: 'There is no sound server.', todo: 'Start PipeWire or PulseAudio, then choose your devices again.' },
    ],
  }),
};

export const scenarioNames = Object.keys(SCENARIOS);

export function scenarioIpc(name: string): Ipc {
  const furnish = SCENARIOS[name];
  if (!furnish) throw new Error(`no scenario ${name}; there are ${scenarioNames.join(', ')}`);
  const start = furnish(furnished());
  const query = new URLSearchParams(location.search);
  const language = query.get('language') as Settings['language'] | null;
  let settings: Settings = { ...start.settings, ...(language ? { language } : {}) };
  let { contacts, call, mediaMode } = start;
  let meter: ReturnType<typeof setInterval> | undefined;
  let statsTimer: ReturnType<typeof setInterval> | undefined;
  let seconds = 60;

  const setCall = (more: Partial<Call>) => {
    if (!call) return;
    call = { ...call, ...more };
    ipc.emit({ type: 'call', call });
  };
  const setContact = (id: string, more: Partial<Contact>) => {
    contacts = contacts.map((contact) => (contact.id === id ? { ...contact, ...more } : contact));
    ipc.emit({ type: 'contacts', contacts });
  };
  const connect = () =>
    setTimeout(() => setCall({ ...aCall(), id: call?.id ?? '', peer: call?.peer ?? '', peerName: call?.peerName ?? '', wanted: call?.wanted ?? NONE, startedAt: Date.now() }), CONNECT_MS);
  const end = (reason: string) => setCall({ phase: 'ended', end: { reason, text: 'The call has ended.' } });
  const showLevel = (kind: DeviceKind, on: boolean) => {
    clearInterval(meter);
    if (on) meter = setInterval(() => ipc.emit({ type: 'level', kind, peak: 0.08 + Math.abs(Math.sin(Date.now() / 300)) * 0.3 }), 100);
  };

  const ipc: FakeIpc = new FakeIpc(
    {
      start: () => ({ ...start, settings }),
      media_mode: ({ rtcPeerConnection }) => (mediaMode = { ...mediaMode, canBrowser: name !== 'webview-cannot' && rtcPeerConnection }),
      call_start({ contact, video }) {
        const peerName = contacts.find(({ id }) => id === contact)?.name ?? '';
        call = aCall({ ...quiet, id: `call-${Date.now()}`, peer: contact, peerName, phase: 'calling', wanted: { audio: true, video } });
        setTimeout(() => setCall({ phase: 'ringing' }), RING_MS);
        setTimeout(() => call?.phase === 'ringing' && setCall({ phase: 'connecting' }), RING_MS * 2);
        setTimeout(() => call?.phase === 'connecting' && connect(), RING_MS * 2 + CONNECT_MS);
        return call;
      },
      call_accept({ video }) {
        setCall({ phase: 'connecting', wanted: { audio: true, video } });
        connect();
      },
      call_decline: () => end('declined'),
      call_hang_up: () => end('hangup'),
      call_hold: ({ on }) => setCall({ heldHere: on, phase: on ? 'held' : 'active' }),
      call_audio: ({ on }) => setCall({ wanted: { ...(call?.wanted ?? NONE), audio: on } }),
      call_video: ({ on }) => setCall({ wanted: { ...(call?.wanted ?? NONE), video: on }, localStream: on ? 'local-1' : null }),
      devices_list: () => devices,
      device_choose({ kind, id }) {
        settings = { ...settings, [kind]: id };
        ipc.emit({ type: 'settings', settings, mediaMode });
      },
      device_test({ kind, on }) {
        if (kind === 'microphone') showLevel(kind, on);
      },
      settings_get: () => settings,
      settings_set({ patch }) {
        settings = { ...settings, ...patch };
        ipc.emit({ type: 'settings', settings, mediaMode });
        return settings;
      },
      contacts_add({ link }) {
        if (!link.startsWith('ahoy:')) {
          throw { code: 'invite-malformed', what: 'This is not an invite link.', todo: 'Copy the whole link, from “ahoy:” to its end.' };
        }
        const added: Contact = { ...AMELIE, id: `added${Date.now()}`, name: 'Lena Hoffmann' };
        contacts = [...contacts, added];
        ipc.emit({ type: 'contacts', contacts });
        return added;
      },
      contacts_rename: ({ id, name: ownName }) => setContact(id, { ownName: ownName || null }),
      contacts_remove({ id }) {
        contacts = contacts.filter((contact) => contact.id !== id);
        ipc.emit({ type: 'contacts', contacts });
      },
      contacts_block: ({ id, blocked }) => setContact(id, { blocked }),
      request_answer: () => ipc.emit({ type: 'requests', requests: [] }),
      invite_create: () => ({ link: LINK, qrSvg: qr, expiresAt: Date.now() + 7 * 24 * 3_600_000 }),
      history_list: () => [],
      history_seen: () => ipc.emit({ type: 'history', entries: start.history.map((entry) => ({ ...entry, seen: true })) }),
      stats_watch({ on }) {
        clearInterval(statsTimer);
        if (!on) return;
        for (let index = 0; index < seconds; index += 1) ipc.emit({ type: 'stats', stats: stats(index, Date.now()) });
        statsTimer = setInterval(() => ipc.emit({ type: 'stats', stats: stats((seconds += 1), Date.now()) }), 1000);
      },
    },
    drawnMedia(),
  );
  return ipc;
}

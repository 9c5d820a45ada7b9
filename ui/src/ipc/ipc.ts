import type {
  AppEvent,
  Call,
  Contact,
  DeviceKind,
  Devices,
  HistoryEntry,
  Hole,
  Invite,
  MediaMode,
  Notice,
  OwnPresence,
  Settings,
  SignalPayload,
  Start,
} from './types';

type None = Record<string, never>;

/** Every command of the shell: what it takes and what it gives. */
export interface Commands {
  start: { args: None; result: Start };
  media_mode: { args: { rtcPeerConnection: boolean }; result: MediaMode };
  call_start: { args: { contact: string; video: boolean }; result: Call };
  call_accept: { args: { call: string; video: boolean }; result: void };
  call_decline: { args: { call: string }; result: void };
  call_hang_up: { args: None; result: void };
  call_hold: { args: { on: boolean }; result: void };
  call_audio: { args: { on: boolean }; result: void };
  call_video: { args: { on: boolean }; result: void };
  calls_list: { args: None; result: Call[] };
  signal_send: { args: { call: string; payload: SignalPayload }; result: void };
  devices_list: { args: None; result: Devices };
  device_choose: { args: { kind: DeviceKind; id: string | null }; result: void };
  device_test: { args: { kind: DeviceKind; on: boolean }; result: void };
  settings_get: { args: None; result: Settings };
  settings_set: { args: { patch: Partial<Settings> }; result: Settings };
  contacts_add: { args: { link: string }; result: Contact };
  contacts_rename: { args: { id: string; name: string }; result: void };
  contacts_remove: { args: { id: string }; result: void };
  contacts_block: { args: { id: string; blocked: boolean }; result: void };
  request_answer: { args: { id: string; accept: boolean }; result: void };
  nearby_add: { args: { id: string }; result: void };
  invite_create: { args: None; result: Invite };
  presence_set: { args: { presence: OwnPresence }; result: void };
  history_list: { args: { before: number | null }; result: HistoryEntry[] };
  history_seen: { args: None; result: void };
  history_clear: { args: None; result: void };
  stats_watch: { args: { on: boolean }; result: void };
  holes_set: { args: { holes: Hole[] }; result: void };
}

export type CommandName = keyof Commands;
export type Args<C extends CommandName> = Commands[C]['args'];
export type Result<C extends CommandName> = Commands[C]['result'];

/** The answer to one read of a media stream. */
export type MediaChunk =
  /** WebM bytes, and where to read on. */
  | { type: 'media'; body: Uint8Array; next: string | null }
  /** The stream is over. */
  | { type: 'end' }
  /** There is no such stream. */
  | { type: 'unknown' };

/** The page's one way out: commands to the shell, its events, and its media streams. */
export interface Ipc {
  /** Rejects with a `Notice`. */
  invoke<C extends CommandName>(command: C, args: Args<C>): Promise<Result<C>>;
  /** Resolves once no event can be missed any more; gives what stops it. */
  listen(handle: (event: AppEvent) => void): Promise<() => void>;
  /** Waits until the stream has something after the cursor; null: from its newest key frame on. */
  readMedia(stream: string, after: string | null, signal: AbortSignal): Promise<MediaChunk>;
}

/** An error of whatever kind as a notice: a command's own, or one about a shell that does not answer as agreed. */
export function asNotice(error: unknown): Notice {
  if (typeof error === 'object' && error !== null) {
    const { code, what, todo } = error as Partial<Record<keyof Notice, unknown>>;
    if (typeof code === 'string' && typeof what === 'string' && typeof todo === 'string') return { code, what, todo };
  }
  return { code: 'internal', what: error instanceof Error ? error.message : String(error), todo: '' };
}

/** Reads a stream over HTTP or a scheme of the webview that behaves like it. */
export async function fetchMedia(url: URL, after: string | null, signal: AbortSignal): Promise<MediaChunk> {
  if (after !== null) url.searchParams.set('after', after);
  const response = await fetch(url, { signal, cache: 'no-store' });
  switch (response.status) {
    case 200:
      return {
        type: 'media',
        body: new Uint8Array(await response.arrayBuffer()),
        next: response.headers.get('x-ahoy-cursor'),
      };
    case 204:
      return { type: 'end' };
    case 404:
      return { type: 'unknown' };
    default:
      throw new Error(`media stream answered ${response.status}`);
  }
}

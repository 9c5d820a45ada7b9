import type { Key } from '../i18n/i18n.svelte';
import type { App } from './app.svelte';

export interface Shortcut {
  /** As `KeyboardEvent.key` has it, lower case; with Ctrl unless it is a function key. */
  key: string;
  shift?: boolean;
  label: Key;
  group: 'app' | 'call' | 'incoming';
  /** False: not now, and the key stays the page's. */
  run(app: App, page: PageActions): boolean | void;
}

/** What only the page itself can do. */
export interface PageActions {
  focusSearch(): void;
  fullScreen(): void;
  focusRinging(): boolean;
}

const incoming = (app: App) => app.call.current?.phase === 'incoming';
const live = (app: App) => app.call.live && !incoming(app);

/** Runs what is for a call that is there. */
const inCall = (run: (app: App) => unknown) => (app: App) => {
  if (!live(app)) return false;
  void run(app);
  return;
};
const ringing = (run: (app: App) => unknown) => (app: App) => {
  if (!incoming(app)) return false;
  void run(app);
  return;
};

export const SHORTCUTS: readonly Shortcut[] = [
  { key: '1', label: 'keys.contacts', group: 'app', run: (app) => app.go('contacts') },
  { key: '2', label: 'keys.history', group: 'app', run: (app) => app.go('history') },
  { key: '3', label: 'keys.add', group: 'app', run: (app) => app.go('add') },
  { key: '4', label: 'keys.settings', group: 'app', run: (app) => app.go('settings') },
  { key: '0', label: 'keys.call', group: 'app', run: inCall((app) => app.go('call')) },
  {
    key: 'f',
    label: 'keys.search',
    group: 'app',
    run(app, page) {
      if (app.view === 'call') return false;
      app.go('contacts');
      page.focusSearch();
      return;
    },
  },
  { key: 'F1', label: 'keys.help', group: 'app', run: (app) => void (app.help = !app.help) },
  { key: 'Enter', label: 'keys.answer', group: 'incoming', run: ringing((app) => app.answer(app.call.current?.receiving.video ?? false)) },
  { key: 'Enter', shift: true, label: 'keys.answer-audio', group: 'incoming', run: ringing((app) => app.answer(false)) },
  { key: 'Backspace', label: 'keys.decline', group: 'incoming', run: ringing((app) => app.call.decline()) },
  { key: 'F6', label: 'keys.to-ringing', group: 'incoming', run: (_, page) => page.focusRinging() },
  { key: 'd', label: 'keys.mute', group: 'call', run: inCall((app) => app.call.toggleAudio()) },
  { key: 'e', label: 'keys.camera', group: 'call', run: inCall((app) => app.call.toggleVideo()) },
  { key: 'h', label: 'keys.hold', group: 'call', run: inCall((app) => app.call.toggleHold()) },
  { key: 'i', label: 'keys.stats', group: 'call', run: inCall((app) => app.call.watch(!app.call.watching)) },
  { key: 'F11', label: 'keys.full-screen', group: 'call', run: (_, page) => page.fullScreen() },
  { key: 'h', shift: true, label: 'keys.hang-up', group: 'call', run: inCall((app) => app.call.hangUp()) },
];

type Press = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey' | 'repeat'>;

const isFunctionKey = (key: string) => /^F\d+$/.test(key);

/**
 * Does what a key press means, if it means something; true if so. Who is typing does not answer or decline: there,
 * Ctrl+Backspace takes a word.
 */
export function press(event: Press, app: App, page: PageActions, typing = false): boolean {
  if (event.altKey || event.metaKey || event.repeat || !app.ready || app.view === 'first-run') return false;
  const found = SHORTCUTS.find(
    ({ key, shift = false, group }) =>
      !(typing && group === 'incoming' && !isFunctionKey(key)) &&
      key.toLowerCase() === event.key.toLowerCase() &&
      shift === event.shiftKey &&
      event.ctrlKey !== isFunctionKey(key),
  );
  return found !== undefined && found.run(app, page) !== false;
}

/** How a shortcut is written, key by key. */
export function keysOf({ key, shift }: Shortcut): string[] {
  const last = key.length === 1 ? key.toUpperCase() : key;
  return [...(isFunctionKey(key) ? [] : ['Ctrl']), ...(shift ? ['Shift'] : []), last];
}

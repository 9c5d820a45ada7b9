import { getContext, setContext } from 'svelte';

import { CallModel } from '../call/call.svelte';
import { Contacts } from '../contacts/contacts.svelte';
import { History } from '../history/history.svelte';
import { Invites } from '../invite/invites.svelte';
import { i18n } from '../i18n/i18n.svelte';
import type { Ipc } from '../ipc/ipc';
import type { AppEvent, Call, Start } from '../ipc/types';
import { Holes } from '../media/holes';
import { LivePicture } from '../media/live-picture.svelte';
import { DevicesModel } from '../settings/devices.svelte';
import { SettingsModel } from '../settings/settings.svelte';
import { Session } from './session.svelte';

export type View = 'contacts' | 'history' | 'add' | 'settings' | 'call' | 'first-run';

/** What is around the page: the system's languages in order of preference, and whether this webview has WebRTC. */
export interface Surroundings {
  languages: readonly string[];
  rtcPeerConnection: boolean;
  /** Whether anybody can see the page. */
  visible(): boolean;
}

/** Everything that the page knows, and where it is. */
export class App {
  view = $state<View>('contacts');
  /** The contact whose page is open. */
  contact = $state<string | null>(null);
  /** An invite link that was opened outside, to be looked at before it is taken. */
  openedLink = $state('');
  ready = $state(false);
  help = $state(false);
  /** Where the shell paints a call's pictures; null: the page does. */
  holes = $state.raw<Holes | null>(null);
  me = $state.raw({ id: '', name: '' });

  readonly session: Session;
  readonly contacts: Contacts;
  readonly invites: Invites;
  readonly history: History;
  readonly settings: SettingsModel;
  readonly devices: DevicesModel;
  readonly call: CallModel;
  /** The own camera, in settings and at the first start. */
  readonly preview: LivePicture;
  /** Where to go back to from the call. */
  #before: Exclude<View, 'call'> = 'contacts';

  constructor(
    ipc: Ipc,
    private readonly surroundings: Surroundings,
  ) {
    this.session = new Session(ipc);
    this.contacts = new Contacts(this.session);
    this.invites = new Invites(this.session);
    this.history = new History(this.session);
    this.settings = new SettingsModel(this.session);
    this.devices = new DevicesModel(this.session);
    const isHere = (peer: string) => this.contacts.byId(peer)?.echo ?? false;
    this.call = new CallModel(this.session, this.settings, this.devices, isHere, () => this.holes);
    this.preview = new LivePicture(ipc);
  }

  /**
   * Listens first and asks then, so that nothing falls between the two; and what this webview can is known before
   * anything is said about it.
   */
  async start(): Promise<void> {
    await this.session.ipc.listen((event) => this.apply(event));
    const { rtcPeerConnection } = this.surroundings;
    const mediaMode = await this.session.attempt('media_mode', { rtcPeerConnection });
    const start = await this.session.attempt('start', {});
    if (start) this.#begin({ ...start.ok, mediaMode: mediaMode?.ok ?? start.ok.mediaMode });
  }

  apply(event: AppEvent): void {
    this.contacts.apply(event);
    this.history.apply(event);
    this.settings.apply(event);
    this.devices.apply(event);
    const before = this.call.current;
    this.call.apply(event);
    switch (event.type) {
      case 'settings':
        i18n.use(event.settings.language, this.surroundings.languages);
        this.me = { ...this.me, name: event.settings.name };
        break;
      case 'notice':
        this.session.notices.add(event.notice);
        break;
      case 'call':
        // What this side began or answered, be it by a notification, is shown at once; what comes in asks beside whatever is
        // being done.
        if (isTaken(event.call, before)) this.go('call');
        if (event.call.phase === 'ended' && this.view !== 'call') this.call.dismiss();
        break;
      case 'history':
        // A missed call that is on the screen has been seen.
        if (this.view === 'history' && this.surroundings.visible()) void this.history.seen();
        break;
      case 'contacts':
        this.invites.apply(event.contacts);
        break;
      case 'open':
        this.#open(event.view, event.link);
        break;
      default:
    }
  }

  go(view: View): void {
    if (this.view !== 'call') this.#before = this.view;
    if (this.view === view) return;
    if (this.view === 'settings' || this.view === 'first-run') this.#leaveDevices();
    this.view = view;
    if (view !== 'call') this.call.dismiss();
    if (view === 'history') void this.history.seen();
  }

  /** The call goes on as an overlay. */
  leaveCall(): void {
    this.go(this.#before === 'first-run' ? 'contacts' : this.#before);
  }

  showContact(id: string | null): void {
    this.contact = id;
    this.go('contacts');
  }

  async startCall(contact: string, video: boolean): Promise<void> {
    if (await this.call.start(contact, video)) this.go('call');
  }

  async answer(video: boolean): Promise<void> {
    if (await this.call.accept(video)) this.go('call');
  }

  async testCamera(on: boolean): Promise<void> {
    await this.devices.test('camera', on);
    await this.preview.follow(this.devices.testing.camera ? 'preview' : null);
  }

  async finishFirstRun(name: string): Promise<void> {
    const trimmed = name.trim();
    await this.settings.set({ firstRunDone: true, ...(trimmed ? { name: trimmed } : {}) });
    // What cannot be kept is in force all the same, and who skips is not held up by a full disk.
    if (this.settings.current.firstRunDone || !trimmed) this.go('contacts');
  }

  #begin(start: Start): void {
    this.me = start.me;
    if (start.paints) this.holes = new Holes(this.session.ipc);
    const { settings, mediaMode, contacts, requests, nearby, history: entries, call } = start;
    for (const event of [
      { type: 'settings', settings, mediaMode },
      { type: 'contacts', contacts },
      { type: 'requests', requests },
      { type: 'nearby', nearby },
      { type: 'history', entries },
      ...start.notices.map((notice) => ({ type: 'notice', notice }) as const),
    ] satisfies AppEvent[]) {
      this.apply(event);
    }
    this.me = start.me;
    if (!settings.firstRunDone) this.view = 'first-run';
    if (call) {
      this.apply({ type: 'call', call });
      if (call.phase !== 'incoming' && call.phase !== 'ended') this.go('call');
    }
    this.ready = true;
  }

  #open(view: 'call' | 'contacts' | 'invite', link: string | null): void {
    switch (view) {
      case 'call':
        // An incoming call asks on top of any view; only one that runs has a view of its own.
        if (this.call.live && this.call.current?.phase !== 'incoming') this.go('call');
        break;
      case 'contacts':
        this.go('contacts');
        break;
      case 'invite':
        this.openedLink = link ?? '';
        this.go('add');
    }
  }

  #leaveDevices(): void {
    this.devices.stopTests();
    void this.preview.follow(null);
  }
}

/** Whether this side has just begun a call, or answered it. */
function isTaken(call: Call, before: Call | null): boolean {
  if (call.phase === 'incoming' || call.phase === 'ended') return false;
  return call.id === before?.id ? before.phase === 'incoming' : call.direction === 'outgoing';
}

const APP = Symbol('app');

export const provideApp = (app: App) => setContext(APP, app);
export const useApp = () => getContext<App>(APP);

import type { Session } from '../app/session.svelte';
import { t } from '../i18n/i18n.svelte';
import type { AppEvent, Call, MediaState, Notice, Route, SignalPayload, Stats, VideoQuality } from '../ipc/types';
import type { DevicesModel } from '../settings/devices.svelte';
import type { SettingsModel } from '../settings/settings.svelte';
import { BrowserCall } from './browser-call';
import { openTrack, sameDevice } from './browser-devices';
import { type Counters, toStats } from './browser-stats';
import { cameraSize, VIDEO_LIMIT } from './video-limit';

function problem(what: 'audio' | 'video' | 'negotiation'): Notice {
  switch (what) {
    case 'audio':
      return { code: 'page-no-microphone', what: t('webview.no-microphone'), todo: t('webview.device-todo') };
    case 'video':
      return { code: 'page-no-camera', what: t('webview.no-camera'), todo: t('webview.device-todo') };
    case 'negotiation':
      return { code: 'page-negotiation', what: t('webview.negotiation'), todo: t('webview.negotiation-todo') };
  }
}

/** The webview gives its stats only when asked. */
const STATS_MS = 1000;

/** Signals that wait for their call: an offer, and more candidates than the shell lets through. */
const EARLY_MAX = 300;

/** The media of a call that runs in the webview itself. */
export class BrowserMedia {
  remote = $state.raw<MediaStream | null>(null);
  local = $state.raw<MediaStream | null>(null);
  route = $state<Route | null>(null);
  sending = $state.raw<MediaState | null>(null);
  #id: string | null = null;
  #call: BrowserCall | null = null;
  #offered = false;
  /**
   * Signals of a call that is not open here yet. The shell tells of a call's phase and of its signals in two tasks, so
   * on a busy machine the other side's offer can arrive before the news that the call was accepted.
   */
  #early: { call: string; payloads: SignalPayload[] } = { call: '', payloads: [] };
  /** What was said last: the shell carries out commands beside each other, and the next waits for its answer. */
  #said: Promise<unknown> = Promise.resolve();
  /** How much video may take. */
  #quality: VideoQuality = 'standard';
  #counters: Counters | null = null;
  /** Plays what comes in, whatever view is open. */
  #sound: HTMLAudioElement | null = null;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly session: Session,
    private readonly settings: SettingsModel,
    private readonly devices: DevicesModel,
    private readonly onStats: (stats: Stats) => void,
    /** Whether a peer runs on this machine. */
    private readonly isHere: (peer: string) => boolean,
  ) {}

  apply(event: AppEvent): void {
    if (event.type === 'call') this.#follow(event.call);
    else if (event.type === 'settings') this.#limitVideo(event.settings.videoQuality);
    else if (event.type === 'signal' && event.call === this.#id) void this.#call?.handle(event.payload);
    else if (event.type === 'signal') this.#keep(event.call, event.payload);
  }

  reopen(kind: 'audio' | 'video'): void {
    void this.#call?.reopen(kind);
  }

  watchStats(on: boolean): void {
    clearInterval(this.#watch);
    this.#counters = null;
    if (on) this.#watch = setInterval(() => void this.#readStats(), STATS_MS);
  }

  #follow(call: Call): void {
    const over = call.phase === 'ended' || call.mode !== 'browser';
    if (over) {
      if (call.id === this.#id) this.#close();
      return;
    }
    // Before it is accepted there is nothing to connect, and no device is opened.
    if (call.phase === 'calling' || call.phase === 'ringing' || call.phase === 'incoming') return;
    if (call.id !== this.#id) this.#open(call);
    const held = call.heldHere || call.heldThere;
    if (this.#sound) this.#sound.muted = held;
    void this.#call?.send({ audio: call.wanted.audio && !held, video: call.wanted.video && !held });
    if (call.direction === 'outgoing' && !this.#offered) {
      this.#offered = true;
      void this.#call?.offer();
    }
  }

  #open(call: Call): void {
    this.#close();
    const { id } = call;
    const { settings, session } = this;
    this.#id = id;
    this.#call = new BrowserCall({
      polite: call.direction === 'incoming',
      iceServers: settings.current.iceServers.map(({ url, user, credential }) => ({ urls: url, username: user, credential })),
      // There is nothing to hide from a peer that runs here.
      relayOnly: settings.current.relayOnly && !this.isHere(call.peer),
      send: (payload) => this.#say(id, payload),
      open: (kind) => this.#openTrack(kind),
      onRemote: (stream) => {
        // The same stream with one more track must be seen as a change.
        this.remote = new MediaStream(stream.getTracks());
        this.#play(this.remote);
      },
      onLocal: (stream) => (this.local = stream),
      onLink: (link) => {
        if (link === 'closed') return;
        this.#say(id, { type: 'link', state: link });
      },
      onRoute: (route) => (this.route = route),
      onSending: (sending) => (this.sending = sending),
      onError: (what) => session.notices.add(problem(what)),
    });
    this.#quality = settings.current.videoQuality;
    void this.#call.limitVideo(VIDEO_LIMIT[this.#quality]);
    const early = this.#early.call === id ? this.#early.payloads.splice(0) : [];
    for (const payload of early) void this.#call.handle(payload);
  }

  #keep(call: string, payload: SignalPayload): void {
    if (this.#early.call !== call) this.#early = { call, payloads: [] };
    if (this.#early.payloads.length < EARLY_MAX) this.#early.payloads.push(payload);
  }

  #say(call: string, payload: SignalPayload): void {
    this.#said = this.#said.then(() => this.session.attempt('signal_send', { call, payload }));
  }

  /** Plays on the chosen speaker from now on, where this webview can choose. */
  async useSpeaker(): Promise<void> {
    const sound = this.#sound;
    const chosen = this.devices.of('speaker').find(({ id }) => id === this.settings.current.speaker);
    if (!sound || typeof sound.setSinkId !== 'function') return;
    const all = await navigator.mediaDevices.enumerateDevices();
    const id = chosen && sameDevice(all, 'audiooutput', chosen);
    // Where it cannot be had, the sound stays where it is.
    await sound.setSinkId(id ?? '').catch(() => {});
  }

  #play(stream: MediaStream): void {
    this.#sound ??= new Audio();
    this.#sound.srcObject = stream;
    void this.#sound.play().catch(() => {});
    void this.useSpeaker();
  }

  async #openTrack(kind: 'audio' | 'video'): Promise<MediaStreamTrack> {
    const device = kind === 'audio' ? 'microphone' : 'camera';
    const chosenId = this.settings.current[device];
    const chosen = this.devices.of(device).find(({ id }) => id === chosenId);
    return openTrack(kind, chosen, this.settings.current, cameraSize(this.#quality));
  }

  #limitVideo(quality: VideoQuality): void {
    const before = this.#quality;
    this.#quality = quality;
    if (quality === before || !this.#call) return;
    void this.#call.limitVideo(VIDEO_LIMIT[quality]);
    // A camera that was opened for less does not give more.
    if (cameraSize(quality).width !== cameraSize(before).width) this.reopen('video');
  }

  async #readStats(): Promise<void> {
    const report = await this.#call?.stats();
    if (!report) return;
    const before = this.#counters;
    const [stats, counters] = toStats(report.values() as Iterable<Record<string, unknown>>, before);
    this.#counters = counters;
    // The first report has nothing to be told from.
    if (before) this.onStats(stats);
  }

  #close(): void {
    this.watchStats(false);
    this.#call?.close();
    this.#call = null;
    if (this.#sound) this.#sound.srcObject = null;
    this.#sound = null;
    this.#id = null;
    this.#offered = false;
    this.remote = this.local = this.route = this.sending = null;
  }
}

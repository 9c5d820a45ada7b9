import type { Session } from '../app/session.svelte';
import type { AppEvent, Call, MediaState, Route, Stats } from '../ipc/types';
import type { Holes } from '../media/holes';
import { LivePicture } from '../media/live-picture.svelte';
import { play, prepare } from '../media/player';
import type { DevicesModel } from '../settings/devices.svelte';
import type { SettingsModel } from '../settings/settings.svelte';
import { BrowserMedia } from './browser-media.svelte';
import { type Corner, isConnected, isLive } from './describe';
import { appended, graphs } from './stats';

/** The call that runs, rings or has just ended. */
export class CallModel {
  current = $state.raw<Call | null>(null);
  /** The stats panel is open. */
  watching = $state(false);
  stats = $state.raw<Stats[]>([]);
  corner = $state<Corner>('bottom-right');
  readonly remote: LivePicture;
  readonly local: LivePicture;
  readonly browser: BrowserMedia;
  readonly live = $derived(isLive(this.current));
  readonly graphs = $derived(graphs(this.stats));
  readonly newest = $derived(this.stats[this.stats.length - 1] ?? null);

  constructor(
    private readonly session: Session,
    settings: SettingsModel,
    devices: DevicesModel,
    /** Whether a peer runs on this machine. */
    isHere: (peer: string) => boolean,
    /** Where the shell paints pictures. */
    private readonly holes: () => Holes | null = () => null,
  ) {
    this.remote = new LivePicture(session.ipc, play, holes);
    this.local = new LivePicture(session.ipc, play, holes);
    this.browser = new BrowserMedia(session, settings, devices, (stats) => this.#take(stats), isHere);
  }

  get route(): Route | null {
    return this.current?.route ?? this.browser.route;
  }

  apply(event: AppEvent): void {
    this.browser.apply(event);
    this.remote.apply(event);
    this.local.apply(event);
    if (event.type === 'stats') this.#take(event.stats);
    if (event.type !== 'call') return;
    const { call } = event;
    // The end of a call that another one has taken the place of is no news of that one.
    if (call.phase === 'ended' && this.current && this.current.id !== call.id) return;
    if (call.id !== this.current?.id) this.stats = [];
    this.current = call;
    const native = isLive(call) && call.mode === 'native';
    if (native && !this.holes()) prepare();
    void this.remote.follow(native ? call.remoteStream : null);
    void this.local.follow(native ? call.localStream : null);
    if (!isLive(call)) this.watching = false;
  }

  async start(contact: string, video: boolean): Promise<boolean> {
    const started = await this.session.attempt('call_start', { contact, video });
    // Its events may have overtaken the answer.
    if (started && this.current?.id !== started.ok.id) this.apply({ type: 'call', call: started.ok });
    return started !== undefined;
  }

  /** What is answered is the call that was on the screen, whatever rings when the answer arrives. */
  accept = (video: boolean) => this.session.attempt('call_accept', { call: this.current?.id ?? '', video });
  decline = () => this.session.attempt('call_decline', { call: this.current?.id ?? '' });
  hangUp = () => this.session.attempt('call_hang_up', {});

  toggleAudio = () => this.#toggle('audio');
  toggleVideo = () => this.#toggle('video');

  async toggleHold(): Promise<void> {
    const call = this.current;
    if (call && isConnected(call)) await this.session.attempt('call_hold', { on: !call.heldHere });
  }

  async watch(on: boolean): Promise<void> {
    this.watching = on;
    if (this.current?.mode === 'browser') this.browser.watchStats(on);
    else await this.session.attempt('stats_watch', { on });
  }

  /** Puts an ended call out of sight. */
  dismiss(): void {
    if (!this.live) this.current = null;
  }

  async #toggle(kind: keyof MediaState): Promise<void> {
    const call = this.current;
    if (!isLive(call) || call.phase === 'incoming') return;
    await this.session.attempt(kind === 'audio' ? 'call_audio' : 'call_video', { on: !call.wanted[kind] });
  }

  #take(stats: Stats): void {
    if (this.watching) this.stats = appended(this.stats, stats);
  }
}

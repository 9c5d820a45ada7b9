import type { Session } from '../app/session.svelte';
import type { AppEvent, MediaMode, OwnPresence, Settings } from '../ipc/types';

/** Stands in until the shell has sent the user's settings; never shown. */
export const BLANK: Settings = {
  name: '',
  experimentalCalls: true,
  videoDisabled: false,
  doNotDisturb: false,
  visibleNearby: false,
  autostart: false,
  closeToTray: true,
  language: 'system',
  theme: 'system',
  camera: null,
  videoQuality: 'standard',
  microphone: null,
  speaker: null,
  ringer: null,
  echoCancellation: true,
  noiseSuppression: true,
  automaticGain: true,
  relayUrl: null,
  iceServers: [],
  relayOnly: false,
  firstRunDone: true,
};

/** What the user has set, and where calls run because of it. */
export class SettingsModel {
  current = $state.raw<Settings>(BLANK);
  mediaMode = $state.raw<MediaMode>({ mode: 'native', why: 'setting', canBrowser: false });
  away = $state(false);
  /** Calls are to run in this webview, which cannot. */
  readonly stuck = $derived(!this.current.experimentalCalls && !this.mediaMode.canBrowser);
  readonly presence: OwnPresence = $derived(
    this.current.doNotDisturb ? 'do-not-disturb' : this.away ? 'away' : 'online',
  );

  constructor(private readonly session: Session) {}

  apply(event: AppEvent): void {
    if (event.type !== 'settings') return;
    this.current = event.settings;
    this.mediaMode = event.mediaMode;
  }

  /** Sets what is given; what the shell refuses stays as it was, and is shown as it was. */
  async set(patch: Partial<Settings>): Promise<boolean> {
    const set = await this.session.attempt('settings_set', { patch });
    // A new object even after a refusal: it makes the controls show again what is set.
    this.current = set?.ok ?? { ...this.current };
    return set !== undefined;
  }

  /** Do not disturb is a setting, which stays until it is taken back; away is for now. */
  async setPresence(presence: OwnPresence): Promise<void> {
    const doNotDisturb = presence === 'do-not-disturb';
    if (doNotDisturb !== this.current.doNotDisturb && !(await this.set({ doNotDisturb }))) return;
    if (doNotDisturb || !(await this.session.attempt('presence_set', { presence }))) return;
    this.away = presence === 'away';
  }
}

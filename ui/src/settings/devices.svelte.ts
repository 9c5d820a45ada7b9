import type { Session } from '../app/session.svelte';
import type { AppEvent, DeviceInfo, DeviceKind, Devices, Notice } from '../ipc/types';

/** How much of its height a meter loses with a level that is lower: it must be readable, not right to the ms. */
const FALL = 0.82;

/** Cameras, microphones and speakers, and their tests. */
export class DevicesModel {
  all = $state.raw<Devices>({ cameras: [], microphones: [], speakers: [] });
  /** 0 to 1, for each kind under test. */
  levels = $state<Partial<Record<DeviceKind, number>>>({});
  testing = $state<Partial<Record<DeviceKind, boolean>>>({});
  /** Why the last test of a kind did not begin. */
  problems = $state<Partial<Record<DeviceKind, Notice>>>({});

  constructor(private readonly session: Session) {}

  apply(event: AppEvent): void {
    if (event.type === 'devices') this.all = event.devices;
    else if (event.type === 'level') {
      const before = this.levels[event.kind] ?? 0;
      this.levels[event.kind] = Math.max(Math.min(1, event.peak), before * FALL);
    }
  }

  async load(): Promise<void> {
    const found = await this.session.attempt('devices_list', {});
    if (found) this.all = found.ok;
  }

  of(kind: DeviceKind): DeviceInfo[] {
    switch (kind) {
      case 'camera':
        return this.all.cameras;
      case 'microphone':
        return this.all.microphones;
      case 'speaker':
      case 'ringer':
        return this.all.speakers;
    }
  }

  choose = (kind: DeviceKind, id: string | null) => this.session.attempt('device_choose', { kind, id });

  async test(kind: DeviceKind, on: boolean): Promise<void> {
    if ((this.testing[kind] ?? false) === on) return;
    this.testing[kind] = on;
    this.levels[kind] = 0;
    delete this.problems[kind];
    const done = await this.session.attempt('device_test', { kind, on }, (notice) => (this.problems[kind] = notice));
    if (!done) this.testing[kind] = false;
  }

  /** Ends every test: a view that shows them is left. */
  stopTests(): void {
    for (const kind of Object.keys(this.testing) as DeviceKind[]) void this.test(kind, false);
  }
}

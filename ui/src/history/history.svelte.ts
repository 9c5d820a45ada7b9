import type { Session } from '../app/session.svelte';
import type { AppEvent, HistoryEntry } from '../ipc/types';
import { byDay, merged, unseenMissed } from './entries';

/** As many as the shell tells at once: fewer are all that there are. */
const PAGE = 100;

/** The calls that were. */
export class History {
  entries = $state.raw<HistoryEntry[]>([]);
  missedOnly = $state(false);
  /** Whether older calls may be there. */
  more = $state(false);
  readonly unseen = $derived(unseenMissed(this.entries));
  readonly days = $derived(byDay(this.missedOnly ? this.entries.filter((e) => e.outcome === 'missed') : this.entries));

  constructor(private readonly session: Session) {}

  apply(event: AppEvent): void {
    if (event.type !== 'history') return;
    if (this.entries.length === 0) this.more = event.entries.length >= PAGE;
    // Older ones that were read stay, unless the history was cleared.
    this.entries = event.entries.length ? merged(event.entries, this.entries) : [];
  }

  async older(): Promise<void> {
    const oldest = this.entries[this.entries.length - 1];
    const found = (await this.session.attempt('history_list', { before: oldest?.id ?? null }))?.ok;
    if (!found) return;
    this.more = found.length >= PAGE;
    this.entries = merged(this.entries, found);
  }

  async seen(): Promise<void> {
    if (this.unseen > 0) await this.session.attempt('history_seen', {});
  }

  async clear(): Promise<void> {
    if (await this.session.attempt('history_clear', {})) this.entries = [];
  }
}

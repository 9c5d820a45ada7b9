import type { Key } from '../i18n/i18n.svelte';
import type { HistoryEntry, Outcome } from '../ipc/types';

export interface Day {
  /** The local day's start, unix time in ms. */
  at: number;
  entries: HistoryEntry[];
}

/** Both lists, each call once as the first has it, newest first. */
export function merged(newer: HistoryEntry[], older: HistoryEntry[]): HistoryEntry[] {
  const known = new Set(newer.map(({ id }) => id));
  return [...newer, ...older.filter(({ id }) => !known.has(id))].sort((a, b) => b.startedAt - a.startedAt || b.id - a.id);
}

/** Calls by the local day they began on, newest first. */
export function byDay(entries: HistoryEntry[]): Day[] {
  const days = new Map<number, HistoryEntry[]>();
  for (const entry of entries) {
    const day = new Date(entry.startedAt).setHours(0, 0, 0, 0);
    days.set(day, [...(days.get(day) ?? []), entry]);
  }
  return [...days].map(([at, ofDay]) => ({ at, entries: ofDay }));
}

export function unseenMissed(entries: HistoryEntry[]): number {
  return entries.filter(({ outcome, seen }) => outcome === 'missed' && !seen).length;
}

/** How long they talked, in ms. */
export function talked({ answeredAt, endedAt }: HistoryEntry): number | null {
  return answeredAt === null || endedAt === null ? null : Math.max(0, endedAt - answeredAt);
}

export const OUTCOME_TEXT: Record<Outcome, Key> = {
  answered: 'history.answered',
  missed: 'history.missed',
  declined: 'history.declined',
  busy: 'history.busy',
  'no-answer': 'history.no-answer',
  failed: 'history.failed',
  interrupted: 'history.interrupted',
  cancelled: 'history.cancelled',
};

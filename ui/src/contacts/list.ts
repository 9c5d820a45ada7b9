import { shown } from '../i18n/names';
import type { Key } from '../i18n/i18n.svelte';
import type { Contact, Presence } from '../ipc/types';

export interface Section {
  key: 'reachable' | 'others' | 'blocked';
  title: Key;
  contacts: Contact[];
}

/** How near a presence is to taking a call. */
const ORDER: Record<Presence, number> = {
  online: 0,
  away: 1,
  'in-call': 2,
  busy: 2,
  'do-not-disturb': 3,
  'no-calls': 4,
  offline: 5,
};

export const PRESENCE_TEXT: Record<Presence, Key> = {
  offline: 'presence.offline',
  online: 'presence.online',
  away: 'presence.away',
  busy: 'presence.busy',
  'in-call': 'presence.in-call',
  'do-not-disturb': 'presence.do-not-disturb',
  'no-calls': 'presence.no-calls',
};

/** The name that a contact goes by here. Empty where it has none that can be shown. */
export function nameOf(contact: Pick<Contact, 'name' | 'ownName'>): string {
  return shown(contact.ownName ?? '') || shown(contact.name);
}

/** Whether the call buttons make sense. */
export function canCall({ presence, blocked }: Contact): boolean {
  return !blocked && presence !== 'no-calls' && presence !== 'offline';
}

const folded = (text: string) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLocaleLowerCase();

/** Contacts whose names hold every word that is looked for, whatever their accents. */
export function find(contacts: Contact[], search: string): Contact[] {
  const words = folded(search).split(/\s+/).filter(Boolean);
  return contacts.filter((contact) => {
    const names = folded(`${contact.ownName ?? ''} ${contact.name.slice(0, 500)}`);
    return words.every((word) => names.includes(word));
  });
}

/** Contacts in the order in which one looks for them; Echo stands first, so that a new user finds it. */
export function sections(contacts: Contact[]): Section[] {
  const sorted = [...contacts].sort(
    (a, b) =>
      Number(b.echo) - Number(a.echo) || ORDER[a.presence] - ORDER[b.presence] || nameOf(a).localeCompare(nameOf(b)),
  );
  const isThere = ({ presence, blocked, echo }: Contact) => !blocked && (echo || presence !== 'offline');
  const all: Section[] = [
    { key: 'reachable', title: 'contacts.reachable', contacts: sorted.filter(isThere) },
    { key: 'others', title: 'contacts.others', contacts: sorted.filter((c) => !c.blocked && !isThere(c)) },
    { key: 'blocked', title: 'contacts.blocked', contacts: sorted.filter(({ blocked }) => blocked) },
  ];
  return all.filter((section) => section.contacts.length > 0);
}

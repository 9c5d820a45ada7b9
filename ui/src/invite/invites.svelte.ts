import type { Session } from '../app/session.svelte';
import type { Contact, Invite } from '../ipc/types';

/** What an image element shows a QR code's SVG by: as an image, nothing in it can run or load anything. */
export function imageUrl(svg: string): string {
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** One's own invite link. Each is good for one person, so a new one is made on request. */
export class Invites {
  current = $state.raw<Invite | null>(null);
  making = $state(false);
  /** Who has become a contact while the link was shown: most likely by it, and it is good for one. */
  newcomer = $state.raw<Contact | null>(null);
  #known: Set<string> | null = null;
  readonly qr = $derived(this.current && imageUrl(this.current.qrSvg));

  constructor(private readonly session: Session) {}

  apply(contacts: Contact[]): void {
    const known = this.#known;
    this.#known = new Set(contacts.map(({ id }) => id));
    const newcomer = known && contacts.find(({ id }) => !known.has(id));
    if (newcomer && this.current) this.newcomer = newcomer;
  }

  async create(): Promise<void> {
    if (this.making) return;
    this.making = true;
    this.newcomer = null;
    this.current = (await this.session.attempt('invite_create', {}))?.ok ?? this.current;
    this.making = false;
  }
}

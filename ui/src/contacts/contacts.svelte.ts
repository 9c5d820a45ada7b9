import type { Session } from '../app/session.svelte';
import type { AppEvent, Contact, ContactRequest, Nearby } from '../ipc/types';
import { find, sections } from './list';

/** Who there is: contacts, who asks to be one, who is near. */
export class Contacts {
  all = $state.raw<Contact[]>([]);
  requests = $state.raw<ContactRequest[]>([]);
  nearby = $state.raw<Nearby[]>([]);
  search = $state('');
  readonly sections = $derived(sections(find(this.all, this.search)));

  constructor(private readonly session: Session) {}

  apply(event: AppEvent): void {
    if (event.type === 'contacts') this.all = event.contacts;
    else if (event.type === 'requests') this.requests = event.requests;
    else if (event.type === 'nearby') this.nearby = event.nearby;
  }

  byId(id: string | null): Contact | undefined {
    return this.all.find((contact) => contact.id === id);
  }

  /** Whether the link was taken; the new contact arrives by an event. */
  async add(link: string): Promise<Contact | undefined> {
    return (await this.session.attempt('contacts_add', { link: link.trim() }))?.ok;
  }

  rename = (id: string, name: string) => this.session.attempt('contacts_rename', { id, name: name.trim() });
  remove = (id: string) => this.session.attempt('contacts_remove', { id });
  block = (id: string, blocked: boolean) => this.session.attempt('contacts_block', { id, blocked });
  answer = (id: string, accept: boolean) => this.session.attempt('request_answer', { id, accept });
  addNearby = (id: string) => this.session.attempt('nearby_add', { id });
}

import { i18n, type Key, t } from '../i18n/i18n.svelte';
import type { Notice } from '../ipc/types';

/** What happened, what to do. Notices that need no more than that; others have names, places and figures in them. */
const TEXT: Record<string, [what: Key, todo: Key]> = {
  busy: ['notice.busy.what', 'notice.busy.todo'],
  'not-ringing': ['notice.not-ringing.what', 'notice.not-ringing.todo'],
  'no-call': ['notice.no-call.what', 'notice.no-call.todo'],
  'calls-disabled': ['notice.calls-disabled.what', 'notice.calls-disabled.todo'],
  'webview-cannot': ['notice.webview-cannot.what', 'notice.webview-cannot.todo'],
  'contact-blocked': ['notice.contact-blocked.what', 'notice.contact-blocked.todo'],
  'contact-no-calls': ['notice.contact-no-calls.what', 'notice.contact-no-calls.todo'],
  'no-contact': ['notice.no-contact.what', 'notice.no-contact.todo'],
  'echo-stays': ['notice.echo-stays.what', 'notice.echo-stays.todo'],
  'in-call': ['notice.in-call.what', 'notice.in-call.todo'],
  'camera-missing': ['notice.camera-missing.what', 'notice.camera-missing.todo'],
  'camera-lost': ['notice.camera-lost.what', 'notice.camera-lost.todo'],
  'microphone-missing': ['notice.microphone-missing.what', 'notice.microphone-missing.todo'],
  'microphone-lost': ['notice.microphone-lost.what', 'notice.microphone-lost.todo'],
  'speaker-missing': ['notice.speaker-missing.what', 'notice.speaker-missing.todo'],
  'ringer-missing': ['notice.ringer-missing.what', 'notice.ringer-missing.todo'],
  'speaker-lost': ['notice.speaker-lost.what', 'notice.speaker-lost.todo'],
  'request-sent': ['notice.request-sent.what', 'notice.request-sent.todo'],
  'request-unreachable': ['notice.request-unreachable.what', 'notice.request-unreachable.todo'],
  'invite-not-a-link': ['notice.invite-not-a-link.what', 'notice.invite-not-a-link.todo'],
  'invite-cut': ['notice.invite-cut.what', 'notice.invite-cut.todo'],
  'invite-altered': ['notice.invite-altered.what', 'notice.invite-altered.todo'],
  'invite-newer': ['notice.invite-newer.what', 'notice.invite-newer.todo'],
  'invite-own': ['notice.invite-own.what', 'notice.invite-own.todo'],
  'invite-expired': ['notice.invite-expired.what', 'notice.invite-expired.todo'],
  'invite-unreachable': ['notice.invite-unreachable.what', 'notice.invite-unreachable.todo'],
  'invite-used': ['notice.invite-used.what', 'notice.invite-used.todo'],
  'invite-unknown': ['notice.invite-unknown.what', 'notice.invite-unknown.todo'],
};

export interface NoticeText {
  what: string;
  todo: string;
  /** Of the text, where it is not that of the page. */
  lang: 'en' | undefined;
}

/** A notice in the user's language, where it is known by its code. The shell's own words are English, and say more. */
export function noticeText({ code, what, todo }: Notice): NoticeText {
  const known = i18n.locale !== 'en' && Object.hasOwn(TEXT, code) ? TEXT[code] : undefined;
  if (known) return { what: t(known[0]), todo: t(known[1]), lang: undefined };
  // The page's own notices are in its language already.
  return { what, todo, lang: i18n.locale === 'en' || code.startsWith('page-') ? undefined : 'en' };
}

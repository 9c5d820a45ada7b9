import { afterEach, describe, expect, it } from 'vitest';

import { i18n } from '../i18n/i18n.svelte';
import { noticeText } from './notice-text';

afterEach(() => (i18n.locale = 'en'));

describe('a notice', () => {
  const notice = { code: 'invite-used', what: 'Used by somebody on Monday.', todo: 'Ask for another.' };

  it('is as the shell says it in English', () => {
    expect(noticeText(notice)).toEqual({ what: notice.what, todo: notice.todo, lang: undefined });
  });

  it('is in the user’s language where it is known', () => {
    i18n.locale = 'de';
    expect(noticeText(notice)).toMatchObject({ what: 'Der Link wurde schon benutzt.', lang: undefined });
  });

  it('is marked as English where it is not', () => {
    i18n.locale = 'fr';
    for (const code of ['something-new', 'toString', '__proto__']) {
      expect(noticeText({ ...notice, code })).toEqual({ what: notice.what, todo: notice.todo, lang: 'en' });
    }
    expect(noticeText({ ...notice, code: 'page-no-camera' }).lang).toBeUndefined();
  });
});

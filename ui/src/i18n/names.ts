// Names come from other people: anything may be in them.

/** Letters of a name that are shown; the whole of it would only slow the page down. */
const SHOWN_MAX = 120;
/** Controls, and what turns the direction of the text around it (UAX #9 section 2): a name must not reach past itself. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+/gu;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A name as it can be shown in one line. May be empty. */
export function shown(name: string): string {
  const letters = name.slice(0, 4 * SHOWN_MAX).replace(UNSEEN, ' ').replace(/\s+/g, ' ').trim();
  const points = [...letters];
  return points.length > SHOWN_MAX ? `${points.slice(0, SHOWN_MAX).join('').trimEnd()}…` : letters;
}

/** A word for the middle of a sentence, with its own direction (UAX #9 section 2.5). */
export function isolated(word: string): string {
  return RIGHT_TO_LEFT.test(word) ? `\u2068${word}\u2069` : word;
}

/** One or two letters to know a name by. */
export function initials(name: string): string {
  const words = shown(name)
    .split(' ')
    .filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const [first, last] = [words[0], words.length > 1 ? words[words.length - 1] : undefined];
  return [first, last].map((word) => (word ? [...word][0] : '')).join('').toLocaleUpperCase() || '?';
}

/** Degrees of the colour circle that look well as a ground, light and dark. */
const HUES = [205, 340, 160, 265, 20, 185, 300, 225, 95, 0, 245, 35] as const;

/** A hue that stays with an id, in degrees. */
export function hue(id: string): number {
  let hash = 0x811c9dc5;
  for (const letter of id) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return HUES[hash % HUES.length] ?? 0;
}

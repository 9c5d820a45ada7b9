import type { Language } from '../ipc/types';
import de from './de.json';
import en from './en.json';
import fr from './fr.json';
import { isolated } from './names';

export type Key = keyof typeof en;
export type Locale = 'en' | 'de' | 'fr';
/** The part of a key before `.one` and `.other`. */
export type PluralKey = Key extends infer K ? (K extends `${infer Stem}.other` ? Stem : never) : never;
export type Params = Record<string, string | number>;

export const LOCALES: Record<Locale, Record<Key, string>> = { en, de, fr };

/** The best of our languages for what the system asks for. */
export function chooseLocale(setting: Language, system: readonly string[]): Locale {
  if (setting !== 'system') return setting;
  const wanted = system.map((tag) => tag.toLowerCase().split('-')[0]);
  return (wanted.find((tag) => tag !== undefined && tag in LOCALES) as Locale | undefined) ?? 'en';
}

/** The locale as the system has it, with its region: how dates and numbers are written differs within a language. */
export function withRegion(locale: Locale, system: readonly string[]): string {
  return system.find((tag) => tag.toLowerCase().split('-')[0] === locale) ?? locale;
}

/** Fills `{name}` places. Words that came from people cannot turn the sentence around them. */
export function fill(text: string, params: Params, format: (value: number) => string = String): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = params[name];
    if (value === undefined) return place;
    return typeof value === 'number' ? format(value) : isolated(value);
  });
}

class I18n {
  locale = $state<Locale>('en');
  #system = $state.raw<readonly string[]>([]);
  #tag = $derived(withRegion(this.locale, this.#system));
  #number = $derived(new Intl.NumberFormat(this.#tag, { maximumFractionDigits: 1 }));
  #plural = $derived(new Intl.PluralRules(this.#tag));
  #time = $derived(new Intl.DateTimeFormat(this.#tag, { timeStyle: 'short' }));
  #day = $derived(new Intl.DateTimeFormat(this.#tag, { weekday: 'long', day: 'numeric', month: 'long' }));
  #dateTime = $derived(new Intl.DateTimeFormat(this.#tag, { dateStyle: 'medium', timeStyle: 'short' }));

  /** Speaks what is set, or what the system asks for. */
  use(setting: Language, system: readonly string[]): void {
    this.#system = system;
    this.locale = chooseLocale(setting, system);
  }

  t = (key: Key, params: Params = {}): string => fill(LOCALES[this.locale][key], params, this.number);

  plural = (stem: PluralKey, count: number): string => {
    const form = this.#plural.select(count) === 'one' ? 'one' : 'other';
    return this.t(`${stem}.${form}` as Key, { count });
  };

  number = (value: number): string => this.#number.format(value);
  time = (at: number): string => this.#time.format(at);
  day = (at: number): string => this.#day.format(at);
  dateTime = (at: number): string => this.#dateTime.format(at);
}

export const i18n = new I18n();
export const { t } = i18n;

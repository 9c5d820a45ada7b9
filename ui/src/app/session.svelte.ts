import { type Args, asNotice, type CommandName, type Ipc, type Result } from '../ipc/ipc';
import type { Notice } from '../ipc/types';

/** Notices on screen at once; the oldest give way. */
const SHOWN_MAX = 4;

export interface ShownNotice {
  key: number;
  notice: Notice;
}

/** What the user should know, until it is dismissed: a text that vanishes by itself is missed by who reads slowly. */
export class Notices {
  shown = $state<ShownNotice[]>([]);
  #lastKey = 0;

  add(notice: Notice): void {
    this.#lastKey += 1;
    const others = this.shown.filter(({ notice: { code, what } }) => code !== notice.code || what !== notice.what);
    this.shown = [...others, { key: this.#lastKey, notice }].slice(-SHOWN_MAX);
  }

  dismiss(key: number): void {
    this.shown = this.shown.filter((shown) => shown.key !== key);
  }
}

/** What every view-model needs: the shell, and a place for what went wrong. */
export class Session {
  readonly notices = new Notices();

  constructor(readonly ipc: Ipc) {}

  /** Does a command; a failure is shown, here or where `failed` puts it, and answered with undefined. */
  async attempt<C extends CommandName>(
    command: C,
    args: Args<C>,
    failed = (notice: Notice) => this.notices.add(notice),
  ): Promise<{ ok: Result<C> } | undefined> {
    try {
      return { ok: await this.ipc.invoke(command, args) };
    } catch (error) {
      failed(asNotice(error));
      return undefined;
    }
  }
}

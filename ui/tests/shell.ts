import type { BrowserContext, Page } from 'playwright-core';

import type { CommandName } from '../src/ipc/ipc';
import { emptyStart } from '../src/ipc/fake';
import type { AppEvent, Start } from '../src/ipc/types';

export const TOKEN = 'the-token';

type Answer = (args: never) => unknown;

/** The shell's side of the bridge, in the test itself. */
export class Shell {
  readonly asked: { cmd: CommandName; args: Record<string, unknown> }[] = [];
  readonly urls: string[] = [];
  #send: (text: string) => void = () => {};
  #waiting: (() => void)[] = [];

  constructor(
    readonly start: Start = emptyStart(),
    readonly answers: Partial<Record<CommandName, Answer>> = {},
  ) {}

  /** A page of it, loaded. */
  async open(context: BrowserContext, origin: string): Promise<Page> {
    const page = await context.newPage();
    await page.routeWebSocket(/\/bridge/, (socket) => {
      this.urls.push(socket.url());
      this.#send = (text) => socket.send(text);
      socket.onMessage((text) => {
        const { id, cmd, args } = JSON.parse(String(text)) as { id: number; cmd: CommandName; args: Record<string, unknown> };
        this.asked.push({ cmd, args });
        const answers: Partial<Record<CommandName, Answer>> = {
          start: () => this.start,
          media_mode: () => this.start.mediaMode,
          ...this.answers,
        };
        socket.send(JSON.stringify({ id, ok: answers[cmd]?.(args as never) ?? null }));
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
    const bridge = `${origin.replace('http', 'ws')}/bridge`;
    await page.goto(`${origin}/?bridge=${encodeURIComponent(bridge)}&token=${TOKEN}`);
    await page.waitForSelector('main:not(.waiting)');
    return page;
  }

  emit(event: AppEvent): void {
    this.#send(JSON.stringify({ event }));
  }

  /** Until the page has asked for something like this. */
  async heard(like: (cmd: CommandName, args: Record<string, unknown>) => boolean): Promise<void> {
    while (!this.asked.some(({ cmd, args }) => like(cmd, args))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

import { BLANK } from '../settings/settings.svelte';
import type { Args, CommandName, Ipc, MediaChunk, Result } from './ipc';
import type { AppEvent, Call, Start } from './types';

type Answers = { [C in CommandName]?: (args: Args<C>) => Result<C> | Promise<Result<C>> };

/** A shell that answers as it is told to, and remembers what it was asked. */
export class FakeIpc implements Ipc {
  readonly asked: { command: CommandName; args: unknown }[] = [];
  readonly #handlers = new Set<(event: AppEvent) => void>();

  constructor(
    readonly answers: Answers = {},
    readonly media: Ipc['readMedia'] = async () => ({ type: 'unknown' }) satisfies MediaChunk,
  ) {}

  async invoke<C extends CommandName>(command: C, args: Args<C>): Promise<Result<C>> {
    this.asked.push({ command, args });
    const answer = this.answers[command] as ((args: Args<C>) => Result<C> | Promise<Result<C>>) | undefined;
    if (!answer) return undefined as Result<C>;
    return answer(args);
  }

  async listen(handle: (event: AppEvent) => void): Promise<() => void> {
    this.#handlers.add(handle);
    return () => this.#handlers.delete(handle);
  }

  readMedia(stream: string, after: string | null, signal: AbortSignal): Promise<MediaChunk> {
    return this.media(stream, after, signal);
  }

  emit(event: AppEvent): void {
    for (const handle of this.#handlers) handle(event);
  }

  /** What was asked by that command, the newest last. */
  argsOf<C extends CommandName>(command: C): Args<C>[] {
    return this.asked.filter((ask) => ask.command === command).map((ask) => ask.args as Args<C>);
  }
}

/** What a shell has that was never used. */
export function emptyStart(): Start {
  return {
    me: { id: 'me', name: 'Robin' },
    settings: { ...BLANK, name: 'Robin' },
    contacts: [],
    requests: [],
    nearby: [],
    call: null,
    history: [],
    mediaMode: { mode: 'native', why: 'setting', canBrowser: false },
    paints: false,
    notices: [],
  };
}

/** A call with pictures both ways. */
export function aCall(more: Partial<Call> = {}): Call {
  return {
    id: 'call-1',
    peer: 'peer-1',
    peerName: 'Amélie Durand',
    direction: 'outgoing',
    phase: 'active',
    wanted: { audio: true, video: true },
    sending: { audio: true, video: true },
    receiving: { audio: true, video: true },
    heldHere: false,
    heldThere: false,
    startedAt: 1_000_000,
    remoteStream: 'remote-1',
    localStream: 'local-1',
    route: 'direct',
    quality: 'good',
    trouble: null,
    adapted: null,
    pausedThere: false,
    unheard: null,
    mode: 'native',
    notices: [],
    end: null,
    ...more,
  };
}

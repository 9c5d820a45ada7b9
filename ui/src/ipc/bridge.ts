import { type Args, asNotice, type CommandName, fetchMedia, type Ipc, type Result } from './ipc';
import type { AppEvent } from './types';

type Answer = { id: number; ok: unknown } | { id: number; error: unknown } | { event: AppEvent };

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * The same page in a plain browser, over a WebSocket to a test backend. `address` is the socket's URL, with the
 * backend's token in its query.
 */
export async function bridgeIpc(address: string, WebSocketType: typeof WebSocket = WebSocket): Promise<Ipc> {
  const url = new URL(address);
  if (!LOOPBACK.has(url.hostname)) throw new Error('the bridge must be on loopback');
  const socket = new WebSocketType(url);
  const waiting = new Map<number, Waiting>();
  const handlers = new Set<(event: AppEvent) => void>();
  let lastId = 0;

  const lost = () => ({ code: 'bridge-lost', what: 'The test backend is gone.', todo: 'Start it again.' });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('close', () => reject(lost()), { once: true });
  });
  socket.addEventListener('close', () => {
    for (const { reject } of waiting.values()) reject(lost());
    waiting.clear();
  });
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if ('event' in answer) {
      for (const handle of handlers) handle(answer.event);
      return;
    }
    const request = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('ok' in answer) request?.resolve(answer.ok as never);
    else request?.reject(asNotice(answer.error));
  });

  const media = new URL(url);
  media.protocol = 'http:';
  return {
    invoke<C extends CommandName>(cmd: C, args: Args<C>): Promise<Result<C>> {
      if (socket.readyState !== WebSocketType.OPEN) return Promise.reject(lost());
      lastId += 1;
      const id = lastId;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, cmd, args }));
      });
    },
    async listen(handle) {
      handlers.add(handle);
      return () => handlers.delete(handle);
    },
    readMedia(stream, after, signal) {
      const from = new URL(media);
      from.pathname = `/media/${encodeURIComponent(stream)}`;
      return fetchMedia(from, after, signal);
    },
  };
}

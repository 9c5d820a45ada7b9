import { describe, expect, it } from 'vitest';

import { bridgeIpc } from './bridge';
import { asNotice } from './ipc';

class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  static last: FakeSocket;
  readyState = 0;
  sent: { id: number; cmd: string; args: unknown }[] = [];
  constructor(readonly url: URL) {
    super();
    FakeSocket.last = this;
    queueMicrotask(() => {
      this.readyState = 1;
      this.dispatchEvent(new Event('open'));
    });
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  tell(message: unknown) {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));
  }
  cut() {
    this.readyState = 3;
    this.dispatchEvent(new Event('close'));
  }
}

const open = () => bridgeIpc('ws://127.0.0.1:4000/?token=secret', FakeSocket as unknown as typeof WebSocket);

describe('the bridge', () => {
  it('gives each answer to who asked, in whatever order they come', async () => {
    const ipc = await open();
    const [first, second] = [ipc.invoke('start', {}), ipc.invoke('call_audio', { on: false })];
    expect(FakeSocket.last.sent).toEqual([
      { id: 1, cmd: 'start', args: {} },
      { id: 2, cmd: 'call_audio', args: { on: false } },
    ]);
    FakeSocket.last.tell({ id: 2, error: { code: 'no-call', what: 'There is no call.', todo: 'Call somebody.' } });
    FakeSocket.last.tell({ id: 1, ok: { me: { id: 'a', name: 'b' } } });
    await expect(second).rejects.toMatchObject({ code: 'no-call' });
    expect(await first).toMatchObject({ me: { name: 'b' } });
  });

  it('hands events on', async () => {
    const ipc = await open();
    const events: unknown[] = [];
    const stop = await ipc.listen((event) => events.push(event));
    FakeSocket.last.tell({ event: { type: 'nearby', nearby: [] } });
    stop();
    FakeSocket.last.tell({ event: { type: 'nearby', nearby: [] } });
    expect(events).toEqual([{ type: 'nearby', nearby: [] }]);
  });

  it('that breaks answers everybody', async () => {
    const ipc = await open();
    const waiting = ipc.invoke('start', {});
    FakeSocket.last.cut();
    await expect(waiting).rejects.toMatchObject({ code: 'bridge-lost' });
    await expect(ipc.invoke('start', {})).rejects.toMatchObject({ code: 'bridge-lost' });
  });

  it('leads nowhere but to this machine', async () => {
    await expect(bridgeIpc('ws://example.org/?token=x', FakeSocket as unknown as typeof WebSocket)).rejects.toThrow('loopback');
  });
});

describe('an error', () => {
  it('is a notice where the shell says so, and its text where not', () => {
    const notice = { code: 'a', what: 'b', todo: 'c' };
    expect(asNotice({ ...notice, more: 1 })).toEqual(notice);
    expect(asNotice(new Error('broken'))).toEqual({ code: 'internal', what: 'broken', todo: '' });
    expect(asNotice('text')).toMatchObject({ what: 'text' });
    expect(asNotice(null)).toMatchObject({ what: 'null' });
  });
});

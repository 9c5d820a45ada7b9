import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Session } from '../app/session.svelte';
import { aCall, FakeIpc } from '../ipc/fake';
import { stats } from '../ipc/scenarios/people';
import { DevicesModel } from '../settings/devices.svelte';
import { SettingsModel } from '../settings/settings.svelte';
import { CallModel } from './call.svelte';

let ipc: FakeIpc;
let session: Session;
let settings: SettingsModel;
let model: CallModel;

beforeEach(() => {
  ipc = new FakeIpc();
  session = new Session(ipc);
  settings = new SettingsModel(session);
  model = new CallModel(session, settings, new DevicesModel(session), (peer) => peer === 'echo');
  model.remote.follow = vi.fn(async () => {});
  model.local.follow = vi.fn(async () => {});
});

const call = (more: Parameters<typeof aCall>[0] = {}) => model.apply({ type: 'call', call: aCall(more) });

describe('a call', () => {
  it('is what was told last', () => {
    call({ phase: 'ringing' });
    call({ phase: 'active', quality: 'poor' });
    expect(model.current).toMatchObject({ phase: 'active', quality: 'poor' });
    expect(model.live).toBe(true);
  });

  it('shows its streams, and none once it has ended', () => {
    call();
    expect(model.remote.follow).toHaveBeenLastCalledWith('remote-1');
    call({ phase: 'ended' });
    expect(model.remote.follow).toHaveBeenLastCalledWith(null);
    expect(model.local.follow).toHaveBeenLastCalledWith(null);
    expect(model.live).toBe(false);
  });

  it('does not end with another one', () => {
    call({ id: 'new' });
    call({ id: 'old', phase: 'ended' });
    expect(model.current?.id).toBe('new');
  });

  it('begun here may be told by its event before its answer', async () => {
    ipc.answers.call_start = () => {
      call({ phase: 'ringing' });
      return aCall({ phase: 'calling' });
    };
    await model.start('peer-1', true);
    expect(model.current?.phase).toBe('ringing');
  });

  it('that cannot begin leaves a notice', async () => {
    ipc.answers.call_start = () => Promise.reject({ code: 'peer-offline', what: 'Not there.', todo: 'Try later.' });
    expect(await model.start('peer-1', true)).toBe(false);
    expect(session.notices.shown.map(({ notice }) => notice.code)).toEqual(['peer-offline']);
    expect(model.current).toBeNull();
  });
});

describe('a button', () => {
  it('asks for the contrary of what is wanted, whatever is sent', async () => {
    call({ wanted: { audio: true, video: false }, sending: { audio: false, video: false } });
    await model.toggleAudio();
    await model.toggleVideo();
    await model.toggleHold();
    expect(ipc.asked).toEqual([
      { command: 'call_audio', args: { on: false } },
      { command: 'call_video', args: { on: true } },
      { command: 'call_hold', args: { on: true } },
    ]);
  });

  it('does nothing without a call, or while one only rings here', async () => {
    await model.toggleAudio();
    call({ phase: 'incoming' });
    await model.toggleAudio();
    await model.toggleHold();
    expect(ipc.asked).toEqual([]);
  });
});

describe('a call in the webview', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('goes by relay only where that is set, but for a peer on this machine', () => {
    const policies: unknown[] = [];
    const connect = function ({ iceTransportPolicy }: RTCConfiguration) {
      policies.push(iceTransportPolicy);
      return { close() {} };
    };
    vi.stubGlobal('RTCPeerConnection', connect);
    vi.stubGlobal('MediaStream', function () {});
    const none = { audio: false, video: false };
    const begin = (peer: string) => call({ id: `to-${peer}`, peer, mode: 'browser', phase: 'connecting', direction: 'incoming', wanted: none });
    begin('ada');
    settings.current = { ...settings.current, relayOnly: true };
    begin('ben');
    begin('echo');
    expect(policies).toEqual(['all', 'relay', 'all']);
  });
});

describe('signals of a call in the webview', () => {
  let got: string[];

  beforeEach(() => {
    got = [];
    vi.stubGlobal('MediaStream', function () {});
    vi.stubGlobal('RTCPeerConnection', function () {
      return {
        signalingState: 'stable',
        remoteDescription: null as RTCSessionDescriptionInit | null,
        localDescription: null as RTCSessionDescriptionInit | null,
        async setRemoteDescription(description: RTCSessionDescriptionInit) {
          this.remoteDescription = description;
          got.push(`${description.type} ${description.sdp}`);
        },
        async setLocalDescription() {
          this.localDescription = { type: 'answer', sdp: 'ours' };
        },
        async addIceCandidate({ candidate }: RTCIceCandidateInit) {
          got.push(`candidate ${candidate}`);
        },
        getTransceivers: () => [],
        close() {},
      };
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  const incoming = (id: string, phase: Parameters<typeof aCall>[0] & object) =>
    call({ id, mode: 'browser', direction: 'incoming', wanted: { audio: false, video: false }, ...phase });
  const offer = (of: string, sdp: string) =>
    model.apply({ type: 'signal', call: of, payload: { type: 'call-offer', sdp } });
  const candidate = (of: string, name: string) => {
    const payload = { candidate: name, sdpMid: '0', sdpMLineIndex: 0, usernameFragment: null };
    model.apply({ type: 'signal', call: of, payload: { type: 'ice-candidate', candidate: payload } });
  };

  it('are not lost where they come before the news that the call was accepted', async () => {
    incoming('one', { phase: 'incoming' });
    offer('one', 'theirs');
    candidate('one', 'a');
    incoming('one', { phase: 'connecting' });
    candidate('one', 'b');
    await vi.waitFor(() => expect(got).toEqual(['offer theirs', 'candidate a', 'candidate b']));
    await vi.waitFor(() =>
      expect(ipc.argsOf('signal_send')).toEqual([{ call: 'one', payload: { type: 'call-answer', sdp: 'ours' } }]),
    );
  });

  it('of one call are nothing to another, and a flood of them is not kept', async () => {
    offer('other', 'of another call');
    for (let n = 0; n < 100_000; n += 1) candidate('one', String(n));
    incoming('one', { phase: 'connecting' });
    offer('one', 'theirs');
    await vi.waitFor(() => expect(got).toHaveLength(301));
    expect(got[0]).toBe('offer theirs');
    incoming('other', { phase: 'connecting' });
    await new Promise((resolve) => setTimeout(resolve));
    expect(got).toHaveLength(301);
  });

  it('go to the shell one after the other', async () => {
    const answers: (() => void)[] = [];
    ipc.answers.signal_send = () => new Promise<void>((resolve) => answers.push(resolve));
    incoming('one', { phase: 'connecting' });
    offer('one', 'first');
    offer('one', 'second');
    await vi.waitFor(() => expect(got).toHaveLength(2));
    await new Promise((resolve) => setTimeout(resolve));
    expect(ipc.argsOf('signal_send')).toHaveLength(1);
    answers.shift()?.();
    await vi.waitFor(() => expect(ipc.argsOf('signal_send')).toHaveLength(2));
  });
});

describe('the stats', () => {
  it('are kept while they are watched, and begin anew with each call', async () => {
    call();
    model.apply({ type: 'stats', stats: stats(1, 1) });
    expect(model.stats).toEqual([]);
    await model.watch(true);
    model.apply({ type: 'stats', stats: stats(2, 2) });
    expect(model.newest?.at).toBe(2);
    expect(ipc.argsOf('stats_watch')).toEqual([{ on: true }]);
    call({ id: 'next' });
    expect(model.stats).toEqual([]);
  });

  it('are out of sight after the call', async () => {
    call();
    await model.watch(true);
    call({ phase: 'ended' });
    expect(model.watching).toBe(false);
  });
});

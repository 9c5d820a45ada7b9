import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { SignalPayload } from '../ipc/types';
import { BrowserCall, type BrowserCallOptions } from './browser-call';
import { sameDevice } from './browser-devices';
import { VIDEO_LIMIT } from './video-limit';

class FakeTrack {
  enabled = true;
  stopped = false;
  constructor(readonly kind: string) {}
  getSettings() {
    return { width: 1280, height: 720 };
  }
  stop() {
    this.stopped = true;
  }
}

class FakeStream {
  constructor(readonly tracks: unknown[] = []) {}
  addTrack(track: unknown) {
    this.tracks.push(track);
  }
  getTracks() {
    return this.tracks;
  }
}

class FakeSender {
  track: unknown = null;
  encodings: Record<string, unknown>[] = [{}];
  async replaceTrack(track: unknown) {
    this.track = track;
  }
  getParameters() {
    return { encodings: this.encodings.map((encoding) => ({ ...encoding })) };
  }
  async setParameters({ encodings }: { encodings: Record<string, unknown>[] }) {
    this.encodings = encodings;
  }
}

/** As much of a peer connection as negotiation touches, with the states of RFC 9429 section 3.2. */
class FakeConnection {
  signalingState = 'stable';
  connectionState = 'new';
  localDescription: { type: string; sdp: string } | null = null;
  remoteDescription: { type: string; sdp: string } | null = null;
  transceivers: { direction: string; receiver: { track: { kind: string } }; sender: FakeSender }[] = [];
  candidates: unknown[] = [];
  log: string[] = [];
  closed = false;
  restarted = 0;
  onnegotiationneeded: (() => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  onicecandidate: ((event: unknown) => void) | null = null;
  ontrack: ((event: unknown) => void) | null = null;
  gate: Promise<void> = Promise.resolve();

  addTransceiver(kind: string, { direction }: { direction: string }) {
    const sender = new FakeSender();
    const transceiver = { direction, receiver: { track: { kind } }, sender };
    this.transceivers.push(transceiver);
    return transceiver;
  }
  getTransceivers() {
    return this.transceivers;
  }
  async setLocalDescription() {
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    this.localDescription = { type, sdp: `local ${type}` };
    this.log.push(`local ${type}`);
  }
  async setRemoteDescription(description: { type: string; sdp: string }) {
    await this.gate;
    if (description.sdp === 'bad') throw new Error('cannot be parsed');
    this.remoteDescription = description;
    this.log.push(`remote ${description.type}`);
    if (description.type === 'offer') {
      this.signalingState = 'have-remote-offer';
      for (const kind of description.sdp.split(' ')) {
        const known = this.transceivers.some(({ receiver }) => receiver.track.kind === kind);
        if (!known && (kind === 'audio' || kind === 'video')) this.addTransceiver(kind, { direction: 'recvonly' });
      }
    } else {
      this.signalingState = 'stable';
    }
  }
  async addIceCandidate(candidate: { candidate: string }) {
    if (!this.remoteDescription) throw new Error('no remote description');
    if (candidate.candidate === 'bad') throw new Error('bad candidate');
    this.candidates.push(candidate.candidate);
    this.log.push(`candidate ${candidate.candidate}`);
  }
  restartIce() {
    this.restarted += 1;
    this.onnegotiationneeded?.();
  }
  close() {
    this.closed = true;
  }
  become(state: string) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }
}

let connection: FakeConnection;
let sent: SignalPayload[];
let log: string[];
let opened: FakeTrack[];

function begin(more: Partial<BrowserCallOptions> = {}): BrowserCall {
  connection = new FakeConnection();
  [sent, log, opened] = [[], [], []];
  return new BrowserCall({
    polite: false,
    iceServers: [],
    relayOnly: false,
    send: (payload) => void sent.push(payload),
    open: async (kind) => {
      const track = new FakeTrack(kind);
      opened.push(track);
      return track as unknown as MediaStreamTrack;
    },
    onRemote: () => {},
    onLocal: (stream) => void log.push(stream ? 'own picture' : 'no own picture'),
    onLink: (link) => void log.push(link),
    onRoute: (route) => void log.push(route),
    onSending: ({ audio, video }) => void log.push(`sending ${[audio && 'audio', video && 'video'].filter(Boolean).join(' ') || 'nothing'}`),
    onError: (what) => void log.push(`error ${what}`),
    connect: () => connection as unknown as RTCPeerConnection,
    ...more,
  });
}

/** Until what was put behind the signaling is done too. */
const settled = (call: BrowserCall) => call.reopen('video');
const types = () => sent.map(({ type }) => type);
const candidate = (text: string): SignalPayload => ({ type: 'ice-candidate', candidate: { candidate: text, sdpMid: '0' } });
const sender = (kind: string) => connection.transceivers.find(({ receiver }) => receiver.track.kind === kind)?.sender;

beforeEach(() => {
  vi.stubGlobal('MediaStream', FakeStream);
  vi.spyOn(console, 'warn').mockImplementation(() => {});
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('the caller', () => {
  it('offers both kinds at once, and sends what is wanted as soon as its device is open', async () => {
    const call = begin();
    void call.send({ audio: true, video: false });
    await call.offer();
    await settled(call);
    expect(connection.transceivers.map(({ receiver, direction }) => `${receiver.track.kind} ${direction}`)).toEqual(['audio sendrecv', 'video sendrecv']);
    expect(types()).toEqual(['call-offer']);
    expect(sender('audio')?.track).toBe(opened[0]);
    expect(sender('video')?.track).toBeNull();
  });

  it('keeps candidates that come before the answer, and applies them in order', async () => {
    const call = begin();
    await call.offer();
    await Promise.all([call.handle(candidate('a')), call.handle(candidate('b')), call.handle({ type: 'call-answer', sdp: 'x' }), call.handle(candidate('c'))]);
    expect(connection.log).toEqual(['local offer', 'remote answer', 'candidate a', 'candidate b', 'candidate c']);
  });

  it('is impolite: its own offer stands when two collide, and candidates of the other are nothing', async () => {
    const call = begin();
    await call.offer();
    await call.handle({ type: 'call-offer', sdp: 'audio video' });
    await call.handle({ type: 'call-answer', sdp: 'x' });
    await call.handle(candidate('bad'));
    expect(connection.log).toEqual(['local offer', 'remote answer']);
    expect(types()).toEqual(['call-offer']);
  });
});

describe('the callee', () => {
  it('answers, takes both directions, and does not wait for a camera to do so', async () => {
    let openCamera: ((track: MediaStreamTrack) => void) | undefined;
    const call = begin({ polite: true, open: (kind) => (kind === 'video' ? new Promise((resolve) => (openCamera = resolve)) : Promise.reject(new Error('none'))) });
    const sending = call.send({ audio: false, video: true });
    await vi.waitFor(() => expect(openCamera).toBeDefined());
    await call.handle({ type: 'call-offer', sdp: 'audio video' });
    await call.handle(candidate('a'));
    expect(connection.candidates).toEqual(['a']);
    expect(types()).toEqual(['call-answer']);
    expect(connection.transceivers.map(({ direction }) => direction)).toEqual(['sendrecv', 'sendrecv']);
    openCamera?.(new FakeTrack('video') as unknown as MediaStreamTrack);
    await sending;
    expect(log).toContain('sending video');
    expect(sender('video')?.track).toBeInstanceOf(FakeTrack);
  });

  it('is polite: it takes the other offer in place of its own', async () => {
    const call = begin({ polite: true });
    await call.handle({ type: 'call-offer', sdp: 'audio video' });
    connection.onnegotiationneeded?.();
    await call.handle({ type: 'call-offer', sdp: 'audio video' });
    expect(connection.log).toEqual(['remote offer', 'local answer', 'local offer', 'remote offer', 'local answer']);
    await call.handle({ type: 'call-answer', sdp: 'of the offer that was rolled back' });
    expect(connection.log).toHaveLength(5);
  });

  it('asks for a kind that was not offered, when it is wanted', async () => {
    const call = begin({ polite: true });
    await call.handle({ type: 'call-offer', sdp: 'audio' });
    await call.send({ audio: true, video: true });
    expect(connection.transceivers.map(({ receiver }) => receiver.track.kind)).toEqual(['audio', 'video']);
    expect(sender('video')?.track).toBe(opened[1]);
  });
});

describe('what is sent', () => {
  const running = async () => {
    const call = begin();
    await call.offer();
    await call.handle({ type: 'call-answer', sdp: 'x' });
    await call.send({ audio: true, video: true });
    return call;
  };

  it('muted is nothing, not silence, and the microphone stays ready', async () => {
    const call = await running();
    await call.send({ audio: false, video: true });
    expect(sender('audio')?.track).toBeNull();
    expect(opened[0]).toMatchObject({ kind: 'audio', enabled: false, stopped: false });
    await call.send({ audio: true, video: true });
    expect(sender('audio')?.track).toBe(opened[0]);
    expect(opened[0]?.enabled).toBe(true);
    expect(opened).toHaveLength(2);
  });

  it('without a camera is a camera that is off', async () => {
    const call = await running();
    await call.send({ audio: true, video: false });
    expect(sender('video')?.track).toBeNull();
    expect(opened[1]).toMatchObject({ kind: 'video', stopped: true });
    expect(log.at(-1)).toBe('sending audio');
    await call.send({ audio: true, video: true });
    expect(sender('video')?.track).toBe(opened[2]);
  });

  it('is the rest where a device cannot be opened', async () => {
    const call = begin({ open: async (kind) => (kind === 'video' ? Promise.reject(new Error('busy')) : (new FakeTrack(kind) as unknown as MediaStreamTrack)) });
    await call.offer();
    await call.send({ audio: true, video: true });
    expect(log.filter((line) => line.startsWith('error'))).toEqual(['error video']);
    expect(log.at(-1)).toBe('sending audio');
  });

  it('is not a camera that was opened too late', async () => {
    let open: ((track: MediaStreamTrack) => void) | undefined;
    const call = begin({ open: () => new Promise((resolve) => (open = resolve)) });
    await call.offer();
    const wanted = call.send({ audio: false, video: true });
    await vi.waitFor(() => expect(open).toBeDefined());
    call.close();
    const late = new FakeTrack('video');
    open?.(late as unknown as MediaStreamTrack);
    await wanted;
    expect(late.stopped).toBe(true);
  });

  it('ends with the call', async () => {
    const call = await running();
    call.close();
    expect(opened.every(({ stopped }) => stopped)).toBe(true);
    expect(connection.closed).toBe(true);
    expect(log.at(-1)).toBe('closed');
  });
});

describe('the connection', () => {
  it('tells how it does, and looks for another way when it failed', async () => {
    const call = begin();
    await call.offer();
    await call.handle({ type: 'call-answer', sdp: 'x' });
    for (const state of ['connecting', 'connected', 'disconnected', 'failed']) connection.become(state);
    await call.handle(candidate('late'));
    expect(log.filter((line) => !line.startsWith('sending'))).toEqual(['connected', 'lost', 'lost']);
    expect(connection.restarted).toBe(1);
    expect(types()).toEqual(['call-offer', 'call-offer']);
  });

  it('survives a description and a candidate that cannot be used', async () => {
    const call = begin();
    await call.offer();
    await call.handle({ type: 'call-answer', sdp: 'bad' });
    await call.handle({ type: 'call-answer', sdp: 'x' });
    await call.handle(candidate('bad'));
    await call.handle(candidate('good'));
    expect(log.filter((line) => line.startsWith('error'))).toEqual(['error negotiation']);
    expect(connection.candidates).toEqual(['good']);
  });

  it('does nothing more once it is closed', async () => {
    const call = begin();
    call.close();
    await call.offer();
    await call.handle({ type: 'call-offer', sdp: 'audio' });
    expect(connection.log).toEqual([]);
    expect(sent).toEqual([]);
  });
});

describe('the chosen device', () => {
  const device = (label: string) => ({ kind: 'videoinput', label, deviceId: `id of ${label}` }) as MediaDeviceInfo;
  const chosen = (name: string) => ({ id: '/dev/video0', name, isDefault: false, formats: [] });
  it.each([
    ['HD Webcam', 'id of HD Webcam'],
    ['hd webcam', 'id of HD Webcam'],
    ['Integrated', 'id of Integrated Camera (04f2:b6d0)'],
    ['Another', undefined],
  ])('%s is found by its name: %s', (name, id) => {
    const devices = [device(''), device('Integrated Camera (04f2:b6d0)'), device('HD Webcam')];
    expect(sameDevice(devices, 'videoinput', chosen(name))).toBe(id);
    expect(sameDevice(devices, 'audioinput', chosen(name))).toBeUndefined();
  });
});

describe('how much video may take', () => {
  const video = () => connection.transceivers.find(({ receiver }) => receiver.track.kind === 'video')?.sender.encodings;
  const limited = (bitrate: number, by: number) => [{ maxBitrate: bitrate, scaleResolutionDownBy: by }];

  it('holds for the camera that is on, for one that comes later, and changes in the call', async () => {
    const call = begin();
    await call.limitVideo(VIDEO_LIMIT['data-saver']);
    await call.send({ audio: true, video: true });
    await call.offer();
    await call.send({ audio: true, video: true });
    expect(video()).toEqual(limited(425_000, 2));
    await call.limitVideo(VIDEO_LIMIT.high);
    expect(video()).toEqual(limited(4_000_000, 1));
    await call.send({ audio: true, video: false });
    await call.limitVideo(VIDEO_LIMIT.standard);
    await call.send({ audio: true, video: true });
    expect(video()).toEqual(limited(1_500_000, 1));
  });

  it('waits for a webview that has no encoding to limit yet', async () => {
    const call = begin();
    await call.offer();
    const sender = connection.transceivers[1]?.sender as FakeSender;
    sender.encodings = [];
    await call.send({ audio: false, video: true });
    await call.limitVideo(VIDEO_LIMIT.standard);
    expect(log).not.toContain('error negotiation');
    sender.encodings = [{}];
    await call.limitVideo(VIDEO_LIMIT.standard);
    expect(video()).toEqual(limited(1_500_000, 1));
  });
});

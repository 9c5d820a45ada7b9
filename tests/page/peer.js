// A browser as the other end of a call: what ahoy-peer is on stdin and stdout, this page is on its line. It
// takes envelopes and commands, gives envelopes and events, and tells what it sees and hears in `media`
// events for the test to judge.

import { Call } from './call.js';
import { emit, fail, onLine, send } from './line.js';
import { AudioProbe, VideoProbe } from './probes.js';
import { openTracks } from './sources.js';

const REPORT_MS = 250;

const query = new URLSearchParams(location.search);
const options = {
  role: query.get('role'),
  source: query.get('source'),
  processing: query.get('processing') !== 'false',
  audio: query.get('audio') === 'true',
  video: query.get('video') === 'true',
  width: Number(query.get('width')),
  height: Number(query.get('height')),
  fps: Number(query.get('fps')),
  sends: query.get('sends') !== 'false',
  // A second video beside the camera's, as of a screen.
  twoVideos: query.get('videos') === '2',
  bitrateKbps: Number(query.get('bitrate')),
  ceilingKbps: Number(query.get('ceiling')),
};

const remote = document.getElementById('remote');
remote.srcObject = new MediaStream();
let videoProbe = watch();
let audioProbe;

let channel = options.role === 'call' ? crypto.randomUUID() : null;
let seq = 0;
let call;
// The call was hung up before it was accepted.
let cancelled = false;
let ringing;
// What the page can send, and what it sends in this call.
let sources;
let tracks;

function watch() {
  return new VideoProbe(remote, (size) => emit('first-video', size));
}

function sendPayload(payload) {
  seq += 1;
  send({ v: 1, channel, seq, payload });
}

function onTrack(track) {
  remote.srcObject.addTrack(track);
  if (track.kind === 'audio') audioProbe = new AudioProbe(track, () => emit('first-audio'));
}

function makeCall() {
  const receives = [options.audio && 'audio', options.video && 'video'].filter(Boolean);
  const { bitrateKbps, ceilingKbps } = options;
  const polite = options.role === 'answer';
  call = new Call({ tracks, receives, polite, bitrateKbps, ceilingKbps, send: sendPayload, emit, onTrack });
}

function accept() {
  makeCall();
  sendPayload({ type: 'call-ack' });
}

function cancel(reason) {
  cancelled = true;
  clearTimeout(ringing);
  emit('ended', { reason });
}

function hangUp() {
  if (call) {
    call.hangUp();
  } else if (channel && !cancelled) {
    sendPayload({ type: 'call-hangup', reason: 'hangup' });
    cancel('hangup');
  }
}

function request() {
  sendPayload({ type: 'call-request', media: { audio: options.audio, video: options.video } });
}

// Begins another call of the same page, once the one before is over. From then on the page reports events
// alone: the `media` events of many calls would fill the memory of the test.
function next({ role, audio, video, ring }) {
  clearInterval(report);
  videoProbe.stop();
  audioProbe?.stop();
  remote.srcObject = new MediaStream();
  videoProbe = watch();
  audioProbe = undefined;
  Object.assign(options, { role, audio, video, ringMs: ring });
  tracks = sources.filter(({ kind }) => options[kind]);
  channel = role === 'call' ? crypto.randomUUID() : null;
  seq = 0;
  call = undefined;
  cancelled = false;
  if (role === 'call') request();
}

async function onEnvelope(envelope) {
  const { payload } = envelope;
  if (payload.type === 'call-request' && options.role === 'answer' && !channel) {
    channel = envelope.channel;
    emit('ringing');
    if (options.ringMs) ringing = setTimeout(accept, options.ringMs);
    else accept();
  } else if (envelope.channel !== channel || cancelled) {
    // Another call's, or one that is over.
  } else if (payload.type === 'call-hangup' && !call) {
    cancel(payload.reason ?? 'hangup');
  } else if (payload.type === 'call-ack' && options.role === 'call' && !call) {
    makeCall();
    emit('accepted');
    call.offer();
  } else {
    await call?.handle(payload);
  }
}

const setEnabled = (kind, enabled) => tracks.filter((track) => track.kind === kind).forEach((track) => (track.enabled = enabled));

const commands = {
  mute: () => setEnabled('audio', false),
  unmute: () => setEnabled('audio', true),
  'camera-off': () => call.sendVideo(false),
  'camera-on': () => call.sendVideo(true),
  // As a phone does: nothing either way, nothing from here, and back.
  hold: () => call.direct('inactive'),
  'stop-sending': () => call.direct('recvonly'),
  resume: () => call.direct('sendrecv'),
  // The camera of a call that began with sound, or another one beside it.
  'add-video': () => addVideo(),
  hangup: () => hangUp(),
  next: (line) => next(line),
  'stop-watching': () => stopWatching(),
};

async function addVideo() {
  const [track] = await openTracks({ ...options, audio: false, video: true });
  tracks.push(track);
  await call.add(track);
}

// One at a time, in their order: a candidate must not overtake the description that it belongs to.
let queue = (options.sends ? openTracks(options) : Promise.resolve([])).then(async (opened) => {
  sources = opened;
  tracks = opened;
  if (options.twoVideos) tracks.push(...(await openTracks({ ...options, audio: false })));
  if (options.role === 'call') request();
});
onLine((line) => {
  queue = queue.then(() => (line.cmd ? commands[line.cmd](line) : onEnvelope(line))).catch(fail);
});

const report = setInterval(async () => {
  if (!call) return;
  const sound = audioProbe?.take() ?? { levels: [], beeps: [] };
  const stats = [...(await statsInTime()).values()].filter(({ type }) => /^(in|out)bound-rtp$/.test(type));
  emit('media', { frames: videoProbe.take(), ...sound, stats });
}, REPORT_MS);

// Firefox does not answer on hold. What was seen and heard does not wait for the statistics.
function statsInTime() {
  const none = new Promise((resolve) => setTimeout(resolve, REPORT_MS, new Map()));
  return Promise.race([call.stats(), none]);
}

function stopWatching() {
  clearInterval(report);
  videoProbe.stop();
  audioProbe?.stop();
}

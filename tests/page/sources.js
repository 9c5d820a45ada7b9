// What the page sends: the fake devices of the browser, or the test signal (docs/architecture.md, "The test
// signal").

import { TestPattern } from './pattern.js';
import { unixMs } from './line.js';
import { audioContext } from './probes.js';

// Names as the tests give them; `device` is what getUserMedia has.
export async function openTracks({ source, processing, audio, video, width, height, fps }) {
  if (source === 'device') return openDevices({ processing, audio, video, width, height, fps });
  return [audio && testTone(), video && testPattern(width, height, fps)].filter(Boolean);
}

async function openDevices({ processing, audio, video, width, height, fps }) {
  if (!audio && !video) return [];
  const size = { width, height, frameRate: fps };
  const untouched = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const sound = audio && (processing || untouched);
  const stream = await navigator.mediaDevices.getUserMedia({ audio: sound, video: video && size });
  return stream.getTracks();
}

function testPattern(width, height, fps) {
  const { track, write } = globalThis.MediaStreamTrackGenerator ? generatedTrack() : canvasTrack(width, height);
  const pattern = new TestPattern(width, height);
  const start = performance.now();
  let counter = 0;

  const tick = () => {
    if (track.readyState === 'ended') return;
    const data = pattern.draw(counter, Math.floor(unixMs()));
    const timestamp = Math.round((performance.now() - start) * 1000);
    write(new VideoFrame(data, { format: 'I420', codedWidth: width, codedHeight: height, timestamp }));
    counter += 1;
    // The next instant of the grid that is still to come: a late frame delays no other, and a stall is not
    // made up for.
    const elapsed = performance.now() - start;
    const due = (Math.floor((elapsed * fps) / 1000) + 1) * (1000 / fps);
    setTimeout(tick, due - elapsed);
  };
  tick();
  return track;
}

// Frames are written as planes, not drawn on a canvas: reading a canvas back would be counted as part of the
// call.
function generatedTrack() {
  const track = new MediaStreamTrackGenerator({ kind: 'video' });
  const writer = track.writable.getWriter();
  return { track, write: (frame) => writer.write(frame) };
}

// Firefox has no such generator for a page.
function canvasTrack(width, height) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  const [track] = canvas.captureStream().getTracks();
  const write = (frame) => {
    context.drawImage(frame, 0, 0);
    frame.close();
  };
  return { track, write };
}

const TONE_HZ = 440;
const TONE_AMPLITUDE = 0.05;
const BEEP_HZ = 1000;
const BEEP_AMPLITUDE = 0.5;
const BEEP_SECONDS = 0.05;
// Beeps are scheduled this long before they are due: more than a busy machine delays a timer.
const SCHEDULE_AHEAD_MS = 500;

function testTone() {
  const context = audioContext();
  const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  oscillator(context, TONE_HZ, TONE_AMPLITUDE).connect(destination);
  const beep = oscillator(context, BEEP_HZ, 0);
  beep.connect(destination);

  const scheduleBeep = () => {
    const now = unixMs();
    const due = Math.ceil((now + SCHEDULE_AHEAD_MS / 2) / 1000) * 1000;
    const at = context.currentTime + (due - now) / 1000;
    beep.gain.setValueAtTime(BEEP_AMPLITUDE, at);
    beep.gain.setValueAtTime(0, at + BEEP_SECONDS);
    setTimeout(scheduleBeep, due + 1000 - SCHEDULE_AHEAD_MS - now);
  };
  scheduleBeep();
  return destination.stream.getAudioTracks()[0];
}

function oscillator(context, frequency, gain) {
  const source = new OscillatorNode(context, { frequency });
  source.start();
  return source.connect(new GainNode(context, { gain }));
}

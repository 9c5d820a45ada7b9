// What arrives, measured: plain numbers for the test to judge.

import { unixMs } from './line.js';

const CELLS = 26;
const BITS = 24;
// How far a cell may lie from black, mid-grey or white (0, 128, 255) and still be read.
const TOLERANCE = 52;

// Reads the test pattern off each frame that is presented.
export class VideoProbe {
  #video;
  #cells = new CellReader();
  #frames = [];
  #stopped = false;

  constructor(video, onFirstFrame) {
    this.#video = video;
    const onFrame = (_, { width, height }) => {
      if (this.#stopped) return;
      if (width * height > 0) {
        this.#frames.push(this.#cells.read(video, width, height));
        onFirstFrame?.({ width, height });
        onFirstFrame = undefined;
      }
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }

  // The frames since the last call, each [unix ms when its pixels were there, ms since capture, counter,
  // flash], with null for what is not the test pattern.
  take() {
    return this.#frames.splice(0);
  }

  // Watching costs; what the call itself costs is measured without.
  stop() {
    this.#stopped = true;
  }
}

// The same of a canvas that somebody else paints, looked at as often as the screen is drawn.
export class CanvasProbe {
  #cells = new CellReader();
  #frames = [];
  #last = null;
  #stopped = false;

  constructor(canvas) {
    const look = () => {
      if (this.#stopped) return;
      if (canvas.width * canvas.height > 0) this.#note(this.#cells.read(canvas, canvas.width, canvas.height));
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  // A picture that is seen twice was painted once; one that is not the pattern counts each time.
  #note(frame) {
    const [, , counter] = frame;
    if (counter === null || counter !== this.#last) this.#frames.push(frame);
    this.#last = counter;
  }

  take() {
    return this.#frames.splice(0);
  }

  stop() {
    this.#stopped = true;
  }
}

class CellReader {
  // Two rows of cells and, in a third, the square that flashes: one sample from the middle of each.
  #samples = new OffscreenCanvas(CELLS, 3).getContext('2d', { willReadFrequently: true });

  constructor() {
    this.#samples.imageSmoothingEnabled = false;
  }

  read(picture, width, height) {
    const side = height / 5;
    this.#samples.drawImage(picture, 0, 0, width, side, 0, 0, CELLS, 2);
    this.#samples.drawImage(picture, width - side, height - side, side, side, 0, 2, 1, 1);
    const { data } = this.#samples.getImageData(0, 0, CELLS, 3);
    const now = unixMs();
    const captured = readBits(data, 0);
    const counter = readBits(data, 1);
    const known = captured !== null && counter !== null;
    const age = known ? modulo(now - captured, 2 ** BITS) : null;
    const flash = data[4 * 2 * CELLS + 1] > 255 - TOLERANCE;
    return [now, age, known ? counter : null, known ? flash : null];
  }
}

function readBits(data, row) {
  const near = (cell, level) => Math.abs(data[4 * (row * CELLS + cell) + 1] - level) <= TOLERANCE;
  if (!near(0, 128) || !near(CELLS - 1, 128)) return null;
  let value = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    if (near(bit + 1, 255)) value += 2 ** bit;
    else if (!near(bit + 1, 0)) return null;
  }
  return value;
}

const modulo = (value, modulus) => ((value % modulus) + modulus) % modulus;

// Firefox gets one for all: with a second one, a page in it more often stopped for good.
const sharesContext = !globalThis.MediaStreamTrackGenerator;
let shared;

export function audioContext() {
  const made = (sharesContext && shared) || new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
  shared = made;
  return made;
}

// Measures a remote audio track: levels and beeps, as sound-worklet.js finds them.
export class AudioProbe {
  #context = audioContext();
  #levels = [];
  #beeps = [];

  constructor(track, onFirstSound) {
    this.#listen(track, onFirstSound);
  }

  async #listen(track, onFirstSound) {
    await this.#context.audioWorklet.addModule(new URL('sound-worklet.js', import.meta.url));
    if (this.#context.state === 'closed') return;
    const worklet = new AudioWorkletNode(this.#context, 'sound', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
    worklet.port.onmessage = ({ data: { level, beep } }) => {
      if (level) {
        this.#levels.push([this.#unixMs(level.at), level.rms, level.tone]);
        if (level.rms > 0) {
          onFirstSound?.();
          onFirstSound = undefined;
        }
      }
      if (beep) this.#beeps.push(this.#unixMs(beep.at));
    };
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(worklet);
  }

  // Since the last call. Levels: [unix ms, root mean square, amplitude of the 440 Hz] of every 50 ms, full
  // scale 1; beeps: unix ms of their onsets.
  take() {
    return { levels: this.#levels.splice(0), beeps: this.#beeps.splice(0) };
  }

  stop() {
    if (!sharesContext) this.#context.close();
  }

  // When a sample at `at` seconds of the context is heard.
  #unixMs(at) {
    const { contextTime, performanceTime } = this.#context.getOutputTimestamp();
    return performance.timeOrigin + performanceTime + (at - contextTime) * 1000;
  }
}

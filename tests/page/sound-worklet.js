// Levels and beeps of a sound, on the audio thread.

const TONE_HZ = 440;
const BEEP_HZ = 1000;
// 50 ms hold whole cycles of both tones, so neither leaks into the other's measure.
const LEVEL_SAMPLES = 2400;
// Five cycles of the beep.
const BEEP_SAMPLES = 240;
// Far over what 440 Hz leaves in the short window, far under the beep.
const BEEP_THRESHOLD = 0.1;

// As much as one call of process() gets.
const SILENCE = new Float32Array(128);

// One bin of a Fourier transform, sample by sample.
class Bin {
  constructor(hz) {
    this.step = (2 * Math.PI * hz) / sampleRate;
    this.reset();
  }

  reset() {
    this.n = 0;
    this.cosine = 0;
    this.sine = 0;
  }

  add(sample) {
    this.cosine += sample * Math.cos(this.step * this.n);
    this.sine += sample * Math.sin(this.step * this.n);
    this.n += 1;
  }

  // Amplitude of the tone since the last call.
  take() {
    const amplitude = (2 * Math.hypot(this.cosine, this.sine)) / this.n;
    this.reset();
    return amplitude;
  }
}

class Sound extends AudioWorkletProcessor {
  tone = new Bin(TONE_HZ);
  beep = new Bin(BEEP_HZ);
  power = 0;
  beeping = false;

  process([[samples]]) {
    // Without a channel there is silence: Firefox gives none for a track that is on hold.
    (samples ?? SILENCE).forEach((sample, n) => this.add(sample, currentTime + n / sampleRate));
    return true;
  }

  add(sample, at) {
    this.power += sample * sample;
    this.tone.add(sample);
    this.beep.add(sample);
    if (this.beep.n === BEEP_SAMPLES) this.endBeepWindow(at);
    if (this.tone.n === LEVEL_SAMPLES) this.endLevelWindow(at);
  }

  endLevelWindow(at) {
    const rms = Math.sqrt(this.power / LEVEL_SAMPLES);
    this.power = 0;
    this.port.postMessage({ level: { at, rms, tone: this.tone.take() } });
  }

  endBeepWindow(at) {
    const beeping = this.beep.take() > BEEP_THRESHOLD;
    // The onset lies within the window; its middle is wrong by half of it at most.
    if (beeping && !this.beeping) this.port.postMessage({ beep: { at: at - BEEP_SAMPLES / 2 / sampleRate } });
    this.beeping = beeping;
  }
}

registerProcessor('sound', Sound);

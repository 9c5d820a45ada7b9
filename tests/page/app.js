// Inside of Ahoy's own page: presses what the test says, and tells what the page shows, and what its own
// connection brings, in `media` events for the test to judge. It comes before the page's script, and changes
// nothing of what that does.

import { emit, onLine } from './line.js';
import { AudioProbe, CanvasProbe, VideoProbe } from './probes.js';

const REPORT_MS = 250;

const sounds = [];
const pictures = new Map();

// The page plays sound where it cannot be heard; the track is listened to beside it.
const Connection = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Connection {
  constructor(...args) {
    super(...args);
    emit('connection-made');
    this.addEventListener('track', ({ track }) => {
      if (track.kind !== 'audio') return;
      const probe = new AudioProbe(track);
      sounds.push(probe);
      // Chromium tells nobody that it ends with its connection.
      const ended = setInterval(() => {
        if (this.connectionState !== 'closed') return;
        clearInterval(ended);
        sounds.splice(sounds.indexOf(probe), 1);
        probe.stop();
      }, REPORT_MS);
    });
  }
};

// Whatever shows the other side now: the call's own view, or what is left of it beside another.
function findPicture() {
  const shown = document.querySelector(':is([data-test=remote], [data-test=overlay] .remote) :is(canvas, video)');
  if (!shown || pictures.has(shown)) return;
  for (const probe of pictures.values()) probe.stop();
  pictures.clear();
  pictures.set(shown, shown instanceof HTMLVideoElement ? new VideoProbe(shown) : new CanvasProbe(shown));
  emit('picture', { element: shown.tagName });
}

setInterval(() => {
  findPicture();
  const heard = sounds.map((probe) => probe.take());
  emit('media', {
    frames: [...pictures.values()].flatMap((probe) => probe.take()),
    levels: heard.flatMap(({ levels }) => levels),
    beeps: heard.flatMap(({ beeps }) => beeps),
  });
}, REPORT_MS);

// What a selector finds on the screen, once it is there.
function appears(selector) {
  return new Promise((resolve) => {
    const look = () => {
      const found = document.querySelector(selector);
      if (found?.checkVisibility() && found.ariaDisabled !== 'true') resolve(found);
      else setTimeout(look, 50);
    };
    look();
  });
}

const commands = {
  async press({ selector }) {
    (await appears(selector)).click();
    emit('pressed', { selector });
  },
  async look({ selector }) {
    const found = await appears(selector);
    emit('seen', { selector, text: found.textContent.trim(), title: found.title });
  },
  // What of these is on the screen now.
  count({ selector }) {
    emit('counted', { selector, count: [...document.querySelectorAll(selector)].filter((found) => found.checkVisibility()).length });
  },
};
onLine((line) => commands[line.cmd]?.(line));

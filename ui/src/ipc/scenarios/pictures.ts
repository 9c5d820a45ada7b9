import { cluster, initSegment } from '../../media/webm';
import type { Ipc, MediaChunk } from '../ipc';

// Drawn pictures as live WebM, so that a scenario plays through the very players that a call does.

const FPS = 15;

interface Scene {
  width: number;
  height: number;
  wall: [string, string];
  shirt: string;
  skin: string;
  hair: string;
}

const SCENES: Record<string, Scene> = {
  remote: { width: 1280, height: 720, wall: ['#d8c7ab', '#8fa39c'], shirt: '#2f5d73', skin: '#c98e6b', hair: '#2d1f1a' },
  local: { width: 640, height: 360, wall: ['#aebfd0', '#6b7f95'], shirt: '#a8483c', skin: '#e3b08f', hair: '#6b4a2f' },
};

function draw(context: CanvasRenderingContext2D, scene: Scene, seconds: number): void {
  const { width: w, height: h } = scene;
  const wall = context.createLinearGradient(0, 0, w, h);
  wall.addColorStop(0, scene.wall[0]);
  wall.addColorStop(1, scene.wall[1]);
  context.fillStyle = wall;
  context.fillRect(0, 0, w, h);
  // A window and a shelf.
  context.fillStyle = 'rgb(255 255 255 / 55%)';
  for (const [x, y] of [[0.08, 0.1], [0.2, 0.1], [0.08, 0.36], [0.2, 0.36]] as const) {
    context.fillRect(w * x, h * y, w * 0.11, h * 0.24);
  }
  context.fillStyle = 'rgb(60 42 28 / 65%)';
  context.fillRect(w * 0.7, h * 0.4, w * 0.26, h * 0.02);
  ['#7a3b2e', '#2f5d73', '#b58a3c', '#4d6b4f', '#59476b'].forEach((colour, index) => {
    context.fillStyle = colour;
    const tall = h * (0.13 + 0.03 * (index % 3));
    context.fillRect(w * (0.73 + index * 0.035), h * 0.4 - tall, w * 0.028, tall);
  });
  const [x, y, size] = [w / 2 + Math.sin(seconds) * w * 0.01, h * 0.46 + Math.sin(seconds * 2) * h * 0.006, h * 0.2];
  const blob = (colour: string, bx: number, by: number, rx: number, ry: number) => {
    context.fillStyle = colour;
    context.beginPath();
    context.ellipse(bx, by, rx, ry, 0, 0, Math.PI * 2);
    context.fill();
  };
  blob(scene.hair, x, y - size * 0.18, size * 0.98, size * 1.15);
  blob(scene.shirt, x, h * 1.08, size * 2.2, h * 0.38);
  blob(scene.skin, x, y + size * 1.05, size * 0.42, size * 0.6);
  blob(scene.skin, x, y + size * 0.1, size * 0.78, size * 1);
  blob(scene.hair, x, y - size * 0.72, size * 0.82, size * 0.42);
  const lid = seconds % 4 < 0.15 ? 0.02 : 0.09;
  for (const side of [-1, 1]) blob('#22303a', x + side * size * 0.3, y, size * 0.085, size * lid);
  context.strokeStyle = '#7a3d33';
  context.lineWidth = size * 0.06;
  context.lineCap = 'round';
  context.beginPath();
  context.arc(x, y + size * 0.36, size * 0.28, 0.25 * Math.PI, 0.75 * Math.PI);
  context.stroke();
}

class DrawnStream {
  #clusters: Uint8Array[] = [];
  #waiting: (() => void)[] = [];
  readonly #init: Uint8Array;

  constructor(private readonly scene: Scene) {
    this.#init = initSegment(scene.width, scene.height);
    void this.#run();
  }

  async read(after: string | null, signal: AbortSignal): Promise<MediaChunk> {
    // From the first frame on, which is the only key frame.
    const from = after === null ? 0 : Number(after);
    while (this.#clusters.length <= from && !signal.aborted) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const to = this.#clusters.length;
    const parts = [...(after === null ? [this.#init] : []), ...this.#clusters.slice(from, to)];
    const body = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    return { type: 'media', body, next: String(to) };
  }

  async #run(): Promise<void> {
    const { width, height } = this.scene;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    if (!context || typeof VideoEncoder !== 'function') return;
    const encoder = new VideoEncoder({
      output: (chunk) => {
        const frame = new Uint8Array(chunk.byteLength);
        chunk.copyTo(frame);
        this.#clusters.push(cluster(frame, chunk.type === 'key', Math.round(chunk.timestamp / 1000)));
        for (const resolve of this.#waiting.splice(0)) resolve();
      },
      error: console.error,
    });
    encoder.configure({ codec: 'vp8', width, height, bitrate: 1_500_000, latencyMode: 'realtime' });
    for (let index = 0; index < FPS * 120; index += 1) {
      draw(context, this.scene, index / FPS);
      const frame = new VideoFrame(canvas, { timestamp: Math.round((index * 1e6) / FPS) });
      encoder.encode(frame, { keyFrame: index === 0 });
      frame.close();
      await new Promise((resolve) => setTimeout(resolve, 1000 / FPS));
    }
  }
}

/** Streams named `remote…`, and anything else as the own camera. */
export function drawnMedia(): Ipc['readMedia'] {
  const streams = new Map<string, DrawnStream>();
  return (stream, after, signal) => {
    const scene = SCENES[stream.startsWith('remote') ? 'remote' : 'local'] as Scene;
    const drawn = streams.get(stream) ?? new DrawnStream(scene);
    streams.set(stream, drawn);
    return drawn.read(after, signal);
  };
}

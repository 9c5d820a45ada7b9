// For `./dev bench`, which puts this into a window of the app: one stream played several times at once, by the very
// means that a call's pictures have there, in a grid over the whole window.

import { tauriIpc } from '../src/ipc/tauri';
import { Holes } from '../src/media/holes';
import { play } from '../src/media/player';

declare global {
  interface Window {
    ahoyBenchStreams: (stream: string, count: number) => Promise<DOMRect[]>;
  }
}

const drawn = () => new Promise((then) => requestAnimationFrame(then));

window.ahoyBenchStreams = async (stream, count) => {
  const { paints } = await tauriIpc.invoke('start', {});
  // The app's own holes close, and are not told again.
  document.getElementById('app')?.remove();
  for (let frame = 0; frame < 5; frame += 1) await drawn();
  const holes = paints ? new Holes(tauriIpc) : null;
  const grid = document.createElement('div');
  grid.style.cssText = 'position: fixed; inset: 0; display: grid; grid: 1fr 1fr / 1fr 1fr';
  document.body.append(grid);
  for (let index = 0; index < count; index += 1) {
    const element = document.createElement('div');
    // The key of a hole, see PictureBox.svelte.
    element.style.background = '#0a0e12';
    grid.append(element);
    if (holes) holes.open(element, stream);
    else {
      const player = await play({ ipc: tauriIpc, stream, onState: () => {} });
      if (!player) throw new Error('this webview decodes no VP8');
      player.element.style.cssText = 'width: 100%; height: 100%; min-width: 0; min-height: 0; object-fit: contain';
      element.append(player.element);
    }
  }
  await drawn();
  return [...grid.children].map((element) => element.getBoundingClientRect());
};

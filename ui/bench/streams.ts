// For `./dev bench`, which puts this into a window of the app: one stream played several times at once, by the very
// player that a call's pictures have, in a grid over the whole window.

import { tauriIpc } from '../src/ipc/tauri';
import { play } from '../src/media/player';

declare global {
  interface Window {
    ahoyBenchStreams: (stream: string, count: number) => Promise<void>;
  }
}

window.ahoyBenchStreams = async (stream, count) => {
  const grid = document.createElement('div');
  grid.style.cssText = 'position: fixed; inset: 0; z-index: 9999; display: grid; grid: 1fr 1fr / 1fr 1fr; background: black';
  document.body.append(grid);
  for (let index = 0; index < count; index += 1) {
    const player = await play({ ipc: tauriIpc, stream, onState: () => {} });
    if (!player) throw new Error('this webview decodes no VP8');
    player.element.style.cssText = 'width: 100%; height: 100%; min-width: 0; min-height: 0; object-fit: contain';
    player.element.dataset.bench = String(index);
    grid.append(player.element);
  }
};

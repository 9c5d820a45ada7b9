import { describe, expect, it, vi } from 'vitest';

import { LivePicture } from './live-picture.svelte';
import type { play, Player, PlayerOptions } from './player';

function pictures() {
  const started: { options: PlayerOptions; give: (player: Player | null) => void }[] = [];
  const start: typeof play = (options) => new Promise((give) => started.push({ options, give }));
  const player = () => ({ element: {} as HTMLElement, stop: vi.fn() });
  return { picture: new LivePicture({ readMedia: async () => ({ type: 'end' }) }, start), started, player };
}

describe('a picture', () => {
  it('has its element as long as its stream, and is asked for once', async () => {
    const { picture, started, player } = pictures();
    void picture.follow('a');
    void picture.follow('a');
    const playing = player();
    started[0]?.give(playing);
    await vi.waitFor(() => expect(picture.element).toBe(playing.element));
    expect(started).toHaveLength(1);
    await picture.follow(null);
    expect(playing.stop).toHaveBeenCalled();
    expect(picture.element).toBeNull();
  });

  it('of a stream that was left is stopped, and says nothing more', async () => {
    const { picture, started, player } = pictures();
    const first = picture.follow('a');
    void picture.follow('b');
    const [late, wanted] = [player(), player()];
    started[0]?.give(late);
    await first;
    expect(late.stop).toHaveBeenCalled();
    started[1]?.give(wanted);
    await vi.waitFor(() => expect(picture.element).toBe(wanted.element));
    started[0]?.options.onState('failed');
    expect(picture.state).toBe('waiting');
    started[1]?.options.onState('playing');
    expect(picture.state).toBe('playing');
  });
});

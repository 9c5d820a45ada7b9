import type { Ipc } from '../ipc/ipc';
import { type PictureState, play, type Player } from './player';

/** The picture of one stream at a time, in an element that lives as long as the stream, wherever it is shown. */
export class LivePicture {
  element = $state.raw<HTMLElement | null>(null);
  state = $state<PictureState>('waiting');
  #stream: string | null = null;
  #player: Player | null = null;

  constructor(
    private readonly ipc: Pick<Ipc, 'readMedia'>,
    private readonly start: typeof play = play,
  ) {}

  /** Shows this stream from now on; null: none. */
  async follow(stream: string | null): Promise<void> {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#player?.stop();
    this.#player = null;
    this.element = null;
    this.state = 'waiting';
    if (stream === null) return;
    const player = await this.start({
      ipc: this.ipc,
      stream,
      onState: (state) => {
        if (this.#stream === stream) this.state = state;
      },
    });
    // Another stream may have been chosen while the decoder was looked for.
    if (this.#stream !== stream) return player?.stop();
    this.#player = player;
    this.element = player?.element ?? null;
  }
}

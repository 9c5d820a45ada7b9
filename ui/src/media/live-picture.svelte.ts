import type { Ipc } from '../ipc/ipc';
import type { AppEvent } from '../ipc/types';
import type { Holes } from './holes';
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
    /** Where the shell paints the picture. */
    private readonly holes: () => Holes | null = () => null,
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
    const holes = this.holes();
    if (holes) {
      const element = Object.assign(document.createElement('div'), { className: 'hole' });
      this.#player = { element, stop: holes.open(element, stream) };
      this.element = element;
      return;
    }
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

  apply(event: AppEvent): void {
    if (event.type === 'picture' && event.stream === this.#stream) this.state = event.news;
  }
}

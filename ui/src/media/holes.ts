import type { Ipc } from '../ipc/ipc';
import type { Hole } from '../ipc/types';

/** Where an element is in the page, and what its style says: `object-fit`, `scaleX(-1)`, and the colour of its ground. */
export type Place = Omit<Hole, 'id' | 'stream'>;

/** Looks at the page. */
export interface Surveyor {
  /** Whether anybody can see the page. */
  visible(): boolean;
  watch(element: HTMLElement): void;
  unwatch(element: HTMLElement): void;
  place(element: HTMLElement): Place;
  /** Calls back once what is changing now has been laid out. */
  settled(then: () => void): void;
}

/**
 * Elements in which the shell's pictures are seen. Where there is no graphics card the shell paints them into the page's own
 * (`src-tauri/src/shell/stage.rs`): it is told where, whenever that changes.
 */
export class Holes {
  readonly #holes = new Map<HTMLElement, Pick<Hole, 'id' | 'stream'>>();
  readonly #surveyor: Surveyor;
  #opened = 0;
  #told = '[]';
  #measuring = false;

  constructor(
    private readonly ipc: Pick<Ipc, 'invoke'>,
    survey: (changed: () => void, hidden: () => void) => Surveyor = pageSurveyor,
  ) {
    this.#surveyor = survey(
      () => this.measure(),
      () => this.#tell(),
    );
  }

  /** Shows a stream where `element` is. Gives what ends that. */
  open(element: HTMLElement, stream: string): () => void {
    this.#opened += 1;
    this.#holes.set(element, { id: this.#opened, stream });
    this.#surveyor.watch(element);
    this.measure();
    return () => {
      this.#holes.delete(element);
      this.#surveyor.unwatch(element);
      this.measure();
    };
  }

  /** Something was moved that kept its size. */
  measure(): void {
    if (this.#measuring) return;
    this.#measuring = true;
    this.#surveyor.settled(() => {
      this.#measuring = false;
      this.#tell();
    });
  }

  #tell(): void {
    const opened = this.#surveyor.visible() ? [...this.#holes] : [];
    const holes = opened
      .map(([element, hole]): Hole => ({ ...hole, ...this.#surveyor.place(element) }))
      .filter(({ width, height }) => width > 0 && height > 0);
    const told = JSON.stringify(holes);
    if (told === this.#told) return;
    this.#told = told;
    // Where the shell does not answer, nothing of the app works, and that is told elsewhere.
    void this.ipc.invoke('holes_set', { holes }).catch(() => {});
  }
}

/** `rgb(10, 14, 18)` as 0x0a0e12. */
export function colour(css: string): number {
  const [red = 0, green = 0, blue = 0] = (css.match(/\d+/g) ?? []).map(Number);
  return (red << 16) | (green << 8) | blue;
}

function pageSurveyor(changed: () => void, hidden: () => void): Surveyor {
  const observer = new ResizeObserver(changed);
  observer.observe(document.documentElement);
  // Nothing is laid out in a hidden page.
  document.addEventListener('visibilitychange', () => (document.hidden ? hidden() : changed()));
  return {
    visible: () => !document.hidden,
    watch: (element) => observer.observe(element),
    unwatch: (element) => observer.unobserve(element),
    place(element) {
      const { x, y, width, height } = element.getBoundingClientRect();
      const { objectFit, backgroundColor, transform } = getComputedStyle(element);
      return {
        x,
        y,
        width,
        height,
        key: colour(backgroundColor),
        cover: objectFit === 'cover',
        mirrored: transform.startsWith('matrix(-1'),
      };
    },
    settled: (then) => requestAnimationFrame(then),
  };
}

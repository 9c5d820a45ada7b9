/** By so much, in ms, a picture comes before it is to be shown. Less, and a late one makes the element stop and start again. */
export const LEAD = 40;
/** Of a slow stream the next picture is waited for longer than that: so much is added to its interval, in ms. */
const MARGIN = 10;
/** Of what is too much or too little, so much is made up for with each frame: the rest is jitter of the arrival, and passes. */
const CORRECTION = 0.2;
/** A frame stays this much longer than it should at most, where the element has caught up with the stream. */
const LONGEST = 1.5;
/** Time between two frames, in ms, at least: WebM's timestamps are whole ones. */
const SHORTEST = 1;
/** Time between two frames, in ms, at most. After a gap of the stream there is nothing to wait for. */
const GAP_MAX = 250;
/** More frames than this at once are what came before the newest: nobody waits to see them. */
const AT_ONCE = 3;
/** What WebKit takes for the length of a frame that has none, in ms, rounded down. */
const UNKNOWN_LENGTH = 16;

/**
 * Times at which an element that plays at its own pace shows a live stream, always just before it would run out of it. A seek, or
 * another playback rate, would make the element decode everything since the last key frame anew (WebKitGTK, 2.50), which in
 * a call may be minutes ago. So the frames themselves come closer together where the element is behind, and further apart where it
 * would have to stop.
 */
export class Timeline {
  #streamMs: number | null = null;
  #at = 0;
  /** The longest step so far, in ms. */
  #longest = UNKNOWN_LENGTH;

  /**
   * Where frames go that came at once, in whole ms, rising. `streamMs` are their times in the stream, `playedMs` is how far the
   * element is.
   */
  place(streamMs: number[], playedMs: number): number[] {
    const hurried = streamMs.length > AT_ONCE;
    return streamMs.map((time, index) => {
      if (this.#streamMs !== null) {
        const wanted = hurried && index < streamMs.length - 1 ? SHORTEST : this.#step(time - this.#streamMs, playedMs);
        // A step of more than twice the longest one is a gap to the element (Media Source Extensions, coded frame processing): it
        // would then show nothing before the next key frame.
        const step = Math.min(wanted, 2 * this.#longest);
        this.#longest = Math.max(this.#longest, step);
        this.#at += step;
      }
      this.#streamMs = time;
      return this.#at;
    });
  }

  #step(sinceLast: number, playedMs: number): number {
    const natural = Math.min(Math.max(sinceLast, SHORTEST), GAP_MAX);
    const missing = playedMs + Math.max(LEAD, natural + MARGIN) - (this.#at + natural);
    return Math.round(Math.min(Math.max(natural + CORRECTION * missing, SHORTEST), LONGEST * natural));
  }
}

/** By so much, in ms, a picture comes before it is to be shown. Less, and a late one makes the element stop and start again. */
export const LEAD = 40;
/** Of what is too much or too little, so much is made up for with each frame: the rest is jitter of the arrival, and passes. */
const CORRECTION = 0.2;
/** A frame stays this much longer than it should at most, where the element has caught up with the stream. */
const LONGEST = 1.5;
/** Time between two frames, in ms, at least: WebM's timestamps are whole ones. */
const SHORTEST = 1;
/** Time between two frames, in ms, at most. After a gap of the stream there is nothing to wait for. */
const GAP_MAX = 100;
/** More frames than this at once are what came before the newest: nobody waits to see them. */
const AT_ONCE = 3;

/**
 * Times at which an element that plays at its own pace shows a live stream, always just before it would run out of it. A seek, or
 * another playback rate, would make the element decode everything since the last key frame anew (WebKitGTK, 2.50), which in
 * a call may be minutes ago. So the frames themselves come closer together where the element is behind, and further apart where it
 * would have to stop.
 */
export class Timeline {
  #streamMs: number | null = null;
  #at = 0;

  /**
   * Where frames go that came at once, in whole ms, rising. `streamMs` are their times in the stream, `playedMs` is how far the
   * element is.
   */
  place(streamMs: number[], playedMs: number): number[] {
    return streamMs.map((time) => {
      if (this.#streamMs !== null) this.#at += this.#step(time - this.#streamMs, streamMs.length, playedMs);
      this.#streamMs = time;
      return this.#at;
    });
  }

  #step(sinceLast: number, atOnce: number, playedMs: number): number {
    if (atOnce > AT_ONCE) return SHORTEST;
    const natural = Math.min(Math.max(sinceLast, SHORTEST), GAP_MAX);
    const missing = playedMs + LEAD - (this.#at + natural);
    return Math.round(Math.min(Math.max(natural + CORRECTION * missing, SHORTEST), LONGEST * natural));
  }
}

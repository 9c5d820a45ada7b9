import type { Key } from '../i18n/i18n.svelte';
import type { Stats } from '../ipc/types';

/** Seconds that the graphs show. */
export const SHOWN = 60;

export interface Graph {
  key: string;
  label: Key;
  unit: Key;
  /** One or two lines: what comes in, what goes out. */
  lines: (number | null)[][];
}

/** The newest stats, which come once a second. */
export function appended(all: Stats[], newest: Stats): Stats[] {
  return [...all, newest].slice(-SHOWN);
}

/** The graphs that the panel shows. */
export function graphs(all: Stats[]): Graph[] {
  const line = (value: (stats: Stats) => number | null) => all.map(value);
  return [
    { key: 'bitrate', label: 'stats.bitrate', unit: 'stats.kbps', lines: [line((s) => s.in.kbps), line((s) => s.out.kbps)] },
    { key: 'frames', label: 'stats.frames', unit: 'stats.fps', lines: [line((s) => s.in.fps), line((s) => s.out.fps)] },
    { key: 'loss', label: 'stats.loss', unit: 'stats.percent', lines: [line((s) => s.lossPercent)] },
    { key: 'rtt', label: 'stats.rtt', unit: 'stats.ms', lines: [line((s) => s.rttMs)] },
    { key: 'jitter', label: 'stats.jitter', unit: 'stats.ms', lines: [line((s) => s.in.jitterBufferMs)] },
    { key: 'skew', label: 'stats.skew', unit: 'stats.ms', lines: [line((s) => s.in.skewMs)] },
  ];
}

/** What happens now and then, in all that is shown: a second's count would be gone before it is read. */
export function totals(all: Stats[]): Pick<Stats['in'], 'lost' | 'recovered' | 'freezes' | 'concealedMs'> {
  const sum = (value: (stats: Stats) => number) => all.reduce((total, stats) => total + value(stats), 0);
  return {
    lost: sum((s) => s.in.lost),
    recovered: sum((s) => s.in.recovered),
    freezes: sum((s) => s.in.freezes),
    concealedMs: sum((s) => s.in.concealedMs),
  };
}

/** The range of a graph: from 0, or lower where there is something lower, to a round number over the highest. */
export function range(lines: (number | null)[][]): { low: number; high: number } {
  const values = lines.flat().filter((value): value is number => value !== null && Number.isFinite(value));
  const [least, most] = [Math.min(0, ...values), Math.max(1, ...values)];
  const step = 10 ** Math.floor(Math.log10(most - least));
  return { low: Math.floor(least / step) * step, high: Math.ceil(most / step) * step };
}

/** An SVG path through the values, the newest at the right edge; a gap where a value is missing. */
export function path(line: (number | null)[], width: number, height: number, { low, high }: { low: number; high: number }): string {
  const x = (index: number) => width - ((line.length - 1 - index) * width) / (SHOWN - 1);
  const y = (value: number) => height - ((value - low) / (high - low)) * height;
  let pen = 'M';
  let drawn = '';
  line.forEach((value, index) => {
    if (value === null || !Number.isFinite(value)) {
      pen = 'M';
      return;
    }
    drawn += `${pen}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = 'L';
  });
  return drawn;
}

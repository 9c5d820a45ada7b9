// The test pattern, as crates/media/src/video/pattern.rs draws it: the same picture costs an encoder the
// same.

const CELLS = 26;
const BITS = 24;
const FLASH_MS = 50;

const BLACK = 16;
const WHITE = 235;
const MID_GREY = 126;
const NEUTRAL_CHROMA = 128;

export class TestPattern {
  #width;
  #height;
  #data;
  #planes;

  constructor(width, height) {
    this.#width = width;
    this.#height = height;
    const [chromaWidth, chromaHeight] = [Math.ceil(width / 2), Math.ceil(height / 2)];
    const [luma, chroma] = [width * height, chromaWidth * chromaHeight];
    this.#data = new Uint8Array(luma + 2 * chroma);
    const plane = (start, length, stride, layers) => ({ samples: this.#data.subarray(start, start + length), stride, layers });
    this.#planes = [
      plane(0, luma, width, [new Texture(1, 24, 190), new Texture(2, 24, 190)]),
      plane(luma, chroma, chromaWidth, [new Texture(3, 40, 216), new Texture(4, 40, 216)]),
      plane(luma + chroma, chroma, chromaWidth, [new Texture(5, 40, 216), new Texture(6, 40, 216)]),
    ];
  }

  // The planes Y, U and V of frame `counter`, captured at `unixMs`, in a buffer that the next call writes
  // again.
  draw(counter, unixMs) {
    for (const plane of this.#planes) drawTexture(plane, counter);
    this.#drawCells(0, unixMs % 2 ** BITS);
    this.#drawCells(1, counter % 2 ** BITS);
    if (unixMs % 1000 < FLASH_MS) {
      const side = Math.floor(this.#height / 5);
      this.#fill(this.#width - side, this.#width, this.#height - side, this.#height, WHITE);
    }
    return this.#data;
  }

  #drawCells(row, value) {
    const top = Math.floor((this.#height * row) / 10);
    const bottom = Math.floor((this.#height * (row + 1)) / 10);
    for (let cell = 0; cell < CELLS; cell += 1) {
      const left = Math.floor((this.#width * cell) / CELLS);
      const right = Math.floor((this.#width * (cell + 1)) / CELLS);
      const bit = (value >>> (cell - 1)) & 1;
      this.#fill(left, right, top, bottom, cell === 0 || cell > BITS ? MID_GREY : bit ? WHITE : BLACK);
    }
  }

  #fill(left, right, top, bottom, luma) {
    const [y, u, v] = this.#planes;
    fillPlane(y, left, right, top, bottom, luma);
    const halved = [left >> 1, (right + 1) >> 1, top >> 1, (bottom + 1) >> 1];
    fillPlane(u, ...halved, NEUTRAL_CHROMA);
    fillPlane(v, ...halved, NEUTRAL_CHROMA);
  }
}

function fillPlane({ samples, stride }, left, right, top, bottom, value) {
  for (let row = top; row < bottom; row += 1) samples.fill(value, row * stride + left, row * stride + right);
}

// Below the cells: two layers of noise, one half transparent over the other, moving apart.
const SIDE = 256;
const MOTION = [[3, 1], [SIDE - 2, 1]];

function drawTexture({ samples, stride, layers: [first, second] }, counter) {
  const [[x1, y1], [x2, y2]] = MOTION.map(([dx, dy]) => [(counter % SIDE) * dx, (counter % SIDE) * dy]);
  const rows = samples.length / stride;
  // Four samples at once where the rows lie on whole words; the few others are drawn one by one.
  const words = stride % 4 === 0 && samples.byteOffset % 4 === 0;
  const out = words ? new Uint32Array(samples.buffer, samples.byteOffset, samples.length / 4) : samples;
  const step = words ? 4 : 1;
  const length = stride / step;
  const period = SIDE / step;
  for (let row = 0; row < rows; row += 1) {
    const a = first.row(x1, row + y1, words);
    const b = second.row(x2, row + 2 * SIDE - y2, words);
    for (let start = 0; start < length; start += period) {
      const end = Math.min(period, length - start);
      const at = row * length + start;
      // The mean of each byte, rounded down, without a carry into its neighbour.
      for (let i = 0; i < end; i += 1) out[at + i] = (a[i] & b[i]) + (((a[i] ^ b[i]) & 0xfefefefe) >>> 1);
    }
  }
}

// A square of smooth noise that tiles. Each row is kept in all four alignments of a word, twice over, to be
// read from any column without wrapping.
class Texture {
  #rows;

  constructor(seed, bottom, top) {
    this.#rows = Array.from({ length: SIDE }, (_, y) => {
      const samples = Uint8Array.from({ length: SIDE }, (_, x) => bottom + noise(seed, x, y) * (top - bottom));
      return [0, 1, 2, 3].map((shift) => Uint8Array.from({ length: 2 * SIDE }, (_, x) => samples[(x + shift) % SIDE]));
    });
  }

  row(x, y, words) {
    const start = x % SIDE;
    const aligned = this.#rows[y % SIDE][start % 4];
    const from = start - (start % 4);
    return words ? new Uint32Array(aligned.buffer, from, SIDE / 4) : aligned.subarray(from, from + SIDE);
  }
}

const OCTAVES = [[32, 0.6], [8, 0.25], [4, 0.15]];

function noise(seed, x, y) {
  return OCTAVES.reduce((sum, [cell, weight]) => sum + weight * smoothNoise(seed, x, y, cell), 0);
}

function smoothNoise(seed, x, y, cell) {
  const periods = SIDE / cell;
  const [column, row] = [Math.floor(x / cell), Math.floor(y / cell)];
  const corner = (dx, dy) => random(seed, (column + dx) % periods, (row + dy) % periods, cell);
  const mix = (a, b, t) => a + (b - a) * t;
  const [tx, ty] = [(x % cell) / cell, (y % cell) / cell];
  return mix(mix(corner(0, 0), corner(1, 0), tx), mix(corner(0, 1), corner(1, 1), tx), ty);
}

function random(seed, x, y, octave) {
  let hash = Math.imul(seed, 0x9e3779b9) ^ Math.imul(x, 0x85ebca6b) ^ Math.imul(y, 0xc2b2ae35) ^ octave;
  for (const factor of [0x85ebca6b, 0xc2b2ae35]) hash = Math.imul(hash ^ (hash >>> 16), factor);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0xffffffff;
}

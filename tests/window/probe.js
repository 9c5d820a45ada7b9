// Reads the cells of the test pattern (docs/architecture.md, "The test signal") off a picture of the page, each time that
// it is painted anew. Takes a name and the picture's CSS selector, which may find another element later.
const [name, css] = arguments;
const CELLS = 26;
const MODULUS = 2 ** 24;
const probes = (window.ahoyProbes ??= new Map());
const probe = { frames: [] };
probes.set(name, probe);
let last;

/** 0 to 1 in the middle of a cell. */
const level = (pixels, width, cell) => {
  const from = Math.ceil((cell + 0.3) * (width / CELLS));
  const to = Math.max(from + 1, Math.floor((cell + 0.7) * (width / CELLS)));
  let sum = 0;
  for (let x = from; x < to; x += 1) sum += pixels[4 * x] + pixels[4 * x + 1] + pixels[4 * x + 2];
  return sum / ((to - from) * 3 * 255);
};

const scratch = document.createElement('canvas').getContext('2d', { alpha: false, willReadFrequently: true });

/** One line of what a canvas or a video shows, `row` (0 to 1) of its height from the top. */
const line = (picture, row) => {
  const [width, height] = size(picture);
  const y = Math.floor(height * row);
  if (picture.tagName === 'CANVAS') return picture.getContext('2d', { alpha: false }).getImageData(0, y, width, 1).data;
  scratch.canvas.width = width;
  scratch.canvas.height = 1;
  scratch.drawImage(picture, 0, y, width, 1, 0, 0, width, 1);
  return scratch.getImageData(0, 0, width, 1).data;
};

const size = (picture) =>
  picture.tagName === 'CANVAS' ? [picture.width, picture.height] : [picture.videoWidth, picture.videoHeight];

/** The number in a row of cells; null where it is none. */
const number = (picture, row) => {
  const [width] = size(picture);
  const data = line(picture, row);
  const isGrey = (cell) => Math.abs(level(data, width, cell) - 0.5) < 0.2;
  if (!isGrey(0) || !isGrey(CELLS - 1)) return null;
  let value = 0;
  for (let bit = 0; bit < CELLS - 2; bit += 1) {
    const light = level(data, width, bit + 1);
    if (light > 0.25 && light < 0.75) return null;
    if (light >= 0.75) value += 2 ** bit;
  }
  return value;
};

const look = () => {
  if (probes.get(name) !== probe) return;
  requestAnimationFrame(look);
  const picture = document.querySelector(css);
  if (!picture || !size(picture)[0] || !picture.checkVisibility({ visibilityProperty: true })) return;
  const [time, counter] = [number(picture, 0.05), number(picture, 0.15)];
  const read = time === null || counter === null ? null : counter;
  if (read === last) return;
  last = read;
  const now = Date.now();
  probe.frames.push([now, read === null ? 0 : (((now - time) % MODULUS) + MODULUS) % MODULUS, read]);
};
look();

"""The test signal (docs/architecture.md, "The test signal"), sent and recognised without any library.

The measurements have the form of tests/page/probes.js. The test judges them.
"""

import math
import time
from array import array
from operator import mul

CELLS = 26
BITS = 24
FLASH_MS = 50
BLACK, WHITE, MID_GREY = 16, 235, 126
# How far a cell may lie from black, mid-grey or white and still be read.
TOLERANCE = 45

SAMPLE_RATE = 48000
TONE_HZ, TONE_AMPLITUDE = 440, 0.05
BEEP_HZ, BEEP_AMPLITUDE, BEEP_SAMPLES = 1000, 0.5, SAMPLE_RATE // 20
FULL_SCALE = 32767


def unix_ms():
    return time.time() * 1000


class Pattern:
    """Draws frames of the test pattern, as planes Y, U and V without padding."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        # Below the cells: stripes that move, so that frames differ from each other all over.
        self._stripes = bytes(60 + (x * 7 % 128) for x in range(2 * width)) * (height + 1)
        self._chroma = bytes([128]) * (2 * ((width + 1) // 2) * ((height + 1) // 2))

    def draw(self, counter, now_ms):
        width, height = self.width, self.height
        rows = [height * row // 10 for row in range(3)]
        cells = [self._row_of_cells(int(now_ms) % 2**BITS), self._row_of_cells(counter % 2**BITS)]
        luma = bytearray(cells[0] * (rows[1] - rows[0]) + cells[1] * (rows[2] - rows[1]))
        at = 2 * counter % width
        luma += self._stripes[at : at + width * (height - rows[2])]
        if now_ms % 1000 < FLASH_MS:
            side = height // 5
            for row in range(height - side, height):
                luma[(row + 1) * width - side : (row + 1) * width] = bytes([WHITE]) * side
        return bytes(luma) + self._chroma

    def _row_of_cells(self, value):
        row = bytearray()
        for cell in range(CELLS):
            bit = cell - 1
            level = (WHITE if value >> bit & 1 else BLACK) if 0 <= bit < BITS else MID_GREY
            row += bytes([level]) * (self.width * (cell + 1) // CELLS - len(row))
        return bytes(row)


def rows_to_read(height):
    """The rows of luma that `read_frame` wants: through the middle of both rows of cells, and of the flash."""
    return height // 20, height * 3 // 20, height - height // 10


def read_frame(rows, width, height):
    """Reads the rows of luma: [unix ms, ms since capture, counter, flash]; None for what is not the pattern."""
    now = unix_ms()
    captured, counter = (_read_cells(row, width) for row in rows[:2])
    if captured is None or counter is None:
        return [now, None, None, None]
    flash = rows[2][width - height // 10] > WHITE - TOLERANCE
    return [now, (now - captured) % 2**BITS, counter, flash]


def _read_cells(row, width):
    levels = [row[(2 * cell + 1) * width // (2 * CELLS)] for cell in range(CELLS)]
    if any(abs(levels[end] - MID_GREY) > TOLERANCE for end in (0, CELLS - 1)):
        return None
    value = 0
    for bit, level in enumerate(levels[1:-1]):
        if level >= WHITE - TOLERANCE:
            value |= 1 << bit
        elif level > BLACK + TOLERANCE:
            return None
    return value


class Tone:
    """Makes the test tone in blocks of `samples`, each 16 bits of mono, in step with the clock."""

    def __init__(self, samples):
        self.samples = samples
        self._position = int(unix_ms() * SAMPLE_RATE / 1000)
        # All of it repeats every second.
        second = array("h", map(self._sample, range(SAMPLE_RATE)))
        self._second = (second + second[:samples]).tobytes()

    @staticmethod
    def _sample(n):
        def sine(hz, amplitude):
            return amplitude * math.sin(2 * math.pi * hz * n / SAMPLE_RATE)

        beep = sine(BEEP_HZ, BEEP_AMPLITUDE) if n < BEEP_SAMPLES else 0
        return round(FULL_SCALE * (sine(TONE_HZ, TONE_AMPLITUDE) + beep))

    def block(self):
        start = self._position % SAMPLE_RATE
        self._position += self.samples
        return self._second[2 * start : 2 * (start + self.samples)]


class Ear:
    """Listens to what a speaker would play: the samples that come, and silence where none do."""

    # 50 ms hold whole cycles of both tones, so neither leaks into the other's measure.
    LEVEL_SAMPLES = 2400
    # Five cycles of the beep.
    WINDOW_SAMPLES = 240
    BEEP_THRESHOLD = 0.1
    # Sound that is later than this is not waited for.
    PATIENCE_SAMPLES = 3 * SAMPLE_RATE // 10

    def __init__(self):
        self._began = None
        self._heard = 0
        self._samples = array("h")
        self._beeping = False
        self._tone = _Bin(TONE_HZ, self.LEVEL_SAMPLES)
        self._beep = _Bin(BEEP_HZ, self.WINDOW_SAMPLES)
        self._levels, self._beeps = [], []

    def push(self, samples):
        """Takes 16 bits of mono at 48 kHz, as bytes."""
        if self._began is None:
            self._began = unix_ms()
        self._samples.frombytes(samples)
        while len(self._samples) >= self.LEVEL_SAMPLES:
            self._measure(self._samples[: self.LEVEL_SAMPLES])
            del self._samples[: self.LEVEL_SAMPLES]

    def take(self):
        """Since the last call. Levels: [unix ms, root mean square, amplitude of the 440 Hz], full scale 1. Beeps:
        unix ms."""
        if self._began is not None:
            due = int((unix_ms() - self._began) * SAMPLE_RATE / 1000)
            missing = due - self._heard - len(self._samples)
            if missing > self.PATIENCE_SAMPLES:
                self.push(bytes(2 * missing))
        levels, beeps = self._levels, self._beeps
        self._levels, self._beeps = [], []
        return levels, beeps

    def _measure(self, block):
        for start in range(0, self.LEVEL_SAMPLES, self.WINDOW_SAMPLES):
            beeping = self._beep.amplitude(block[start : start + self.WINDOW_SAMPLES]) > self.BEEP_THRESHOLD
            if beeping and not self._beeping:
                self._beeps.append(self._at(start + self.WINDOW_SAMPLES // 2))
            self._beeping = beeping
        rms = math.sqrt(sum(map(mul, block, block)) / len(block)) / FULL_SCALE
        self._levels.append([self._at(len(block)), rms, self._tone.amplitude(block)])
        self._heard += len(block)

    def _at(self, sample):
        return self._began + (self._heard + sample) * 1000 / SAMPLE_RATE


class _Bin:
    """One bin of a Fourier transform."""

    def __init__(self, hz, samples):
        turns = [2 * math.pi * hz * n / SAMPLE_RATE for n in range(samples)]
        self._cosine = list(map(math.cos, turns))
        self._sine = list(map(math.sin, turns))

    def amplitude(self, block):
        cosine, sine = sum(map(mul, block, self._cosine)), sum(map(mul, block, self._sine))
        return 2 * math.hypot(cosine, sine) / len(block) / FULL_SCALE

#!/usr/bin/env python3
"""Judges speech that went through a call, by PESQ (ITU-T P.862.2, wideband).

Two files: what was spoken, and what was heard at the same time; mono, 48 kHz, 32-bit floats. Prints a JSON list with the
score of each stretch of SECONDS, 1 to 4.6; null for a stretch in which nothing was heard.
"""

import json
import sys

import numpy
from pesq import NoUtterancesError, pesq

RATE, PESQ_RATE, SECONDS = 48000, 16000, 8
STEP = RATE // PESQ_RATE
# In samples: a second.
LONGEST_DELAY = RATE


def lower(samples):
    """The same at 16 kHz."""
    taps = numpy.arange(-120, 121)
    low_pass = numpy.sinc(taps / STEP) / STEP * numpy.hamming(len(taps))
    return numpy.convolve(samples, low_pass, mode="same")[::STEP]


def delay(spoken, heard):
    """By how many samples `heard` is later, at most LONGEST_DELAY."""
    size = 1 << (len(spoken) + len(heard)).bit_length()
    product = numpy.fft.irfft(numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(spoken, size)), size)
    return int(numpy.argmax(product[:LONGEST_DELAY]))


def score(spoken, heard):
    later = delay(spoken, heard)
    try:
        return pesq(PESQ_RATE, lower(spoken), lower(heard[later : later + len(spoken)]), "wb")
    except NoUtterancesError:
        return None


def main():
    spoken, heard = (numpy.fromfile(path, dtype=numpy.float32) for path in sys.argv[1:])
    length = SECONDS * RATE
    starts = range(0, len(spoken) - length + 1, length)
    heard = numpy.pad(heard, (0, length + LONGEST_DELAY))
    stretches = ((spoken[start : start + length], heard[start : start + length + LONGEST_DELAY]) for start in starts)
    print(json.dumps([score(*stretch) for stretch in stretches]))


if __name__ == "__main__":
    main()

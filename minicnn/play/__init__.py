"""A page to play with: one HTML file in which a network runs in the browser, on a picture of the reader's choice, with the network off.

    from minicnn import models, play
    play.build(models.tinynet("standard"), "play.html")

`minicnn play` is the same from the command line. The files are read in this order: `chain` (what the network is made of), `packing`
(its weights as 8- or 16-bit numbers), `builder` (the page); and of the page `engine.js`, a convolutional network in JavaScript that is
a lesson of its own, then `picture.js` (how a picture enters), `view.js` (numbers as colours and tables), `maps.js` and `explain.js` (the
maps, and one number of them taken apart), `changes.js` (another kernel, channels switched off), `sandbox.js` (stride, padding and
dilation on a small input), `answer.js`, `sources.js` (photographs, files, the drawing pad, the camera) and `main.js`, where it begins.
"""

from minicnn.play.builder import Built, build
from minicnn.play.packing import restored

__all__ = ["Built", "build", "restored"]

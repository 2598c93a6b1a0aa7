"""Drawing: `figures/NAME.py` draws what `viz/NAME.py` computes. The only room that knows matplotlib.

Every function returns a `matplotlib.figure.Figure` and neither shows nor writes it: `figure.savefig("name.png")` does, and a
notebook shows it by itself. matplotlib is imported when the first figure is made. Imports go one way: the `figure()` of a result
imports the file that draws it, and takes itself there; no file here imports one whose results draw themselves.
"""

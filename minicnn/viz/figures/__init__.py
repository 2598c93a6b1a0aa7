"""Drawing: `figures/NAME.py` draws what `viz/NAME.py` computes. The only room that knows matplotlib.

Every function returns a `matplotlib.figure.Figure` and neither shows nor writes it: `figure.savefig("name.png")` does, and a
notebook shows it by itself. matplotlib is imported when the first figure is made.

Imports go one way: a file of results imports the one that draws them, which is given a result and reads its attributes; what
both need of weights, maps, images and fields stands in files without results.
"""

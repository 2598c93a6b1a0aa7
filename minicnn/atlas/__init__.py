"""An atlas of a network: one HTML file that opens offline, with a page for each layer, each unit, and a photograph.

    from minicnn import atlas, models
    atlas.build(models.tinynet("standard"), "atlas.html", folder="photos/")

`minicnn atlas` is the same from the command line. The files are read in this order: `survey` (what the network is made of), `plan`
(which units, by which recipe), `cache` (maximising them, resumably), `photograph`, then `contents` and the pages that show them
(`page`, `unit_page`, `photo_pages`, `words`; `page.html`, `style.css`, `script.js`), `writing` (all in one document, or in parts that are
read when they are shown), and `builder`, which calls them all.
"""

from minicnn.atlas.builder import Built, Cost, build
from minicnn.atlas.plan import Plan
from minicnn.atlas.survey import Survey

__all__ = ["Built", "Cost", "Plan", "Survey", "build"]

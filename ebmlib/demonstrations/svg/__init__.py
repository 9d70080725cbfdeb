"""Drawings: SVG files to polylines and back.

What is read is what a browser draws (``reading.py``):

- the style cascade (presentation attributes, style sheets, ``style`` attributes, inheritance) is
  ``cascade.py``, on tinycss2 and cssselect2; ``values.py`` evaluates lengths and ``paint.py``
  colours, ``transforms.py`` transforms and the boxes of nested drawings;
- shapes become polylines in ``shapes.py`` and ``pathdata.py``, with the curves of svgpathtools;
- the XML is parsed with defusedxml (``document.py``): drawings come from strangers;
- ``writing.py`` writes strokes.
"""

from ebmlib.demonstrations.svg.reading import Drawing, DrawnStrokes, read_drawing, read_svg
from ebmlib.demonstrations.svg.writing import write_svg

__all__ = ["Drawing", "DrawnStrokes", "read_drawing", "read_svg", "write_svg"]

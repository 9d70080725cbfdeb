"""Widgets: trained policies in the reader's hands, with a kernel and without one.

The numerics are JavaScript (``js/ebm.js``) and run in the page. Everything here imports anywidget
and matplotlib only when it is used.
"""

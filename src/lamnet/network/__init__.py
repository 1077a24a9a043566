"""LAMNet itself: configuration, model, weights that ship or lie in files, export.

May touch `ops` and `base`; never pictures, videos or the terminal.
"""

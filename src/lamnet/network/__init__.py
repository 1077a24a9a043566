"""LAMNet in PyTorch: the model, weights that ship or are in files, the choice of what runs them, export.

May touch `ops`, `core` and below; never pictures, videos or the terminal.
"""

"""LAMNet in PyTorch: the model, weights that ship or are in files, the choice of what runs them, export.

Weights are read in three places: `core.weights` reads files of ours as arrays, `reading` any file as arrays, `weights` any file
as a network of PyTorch.

May touch `ops`, `core` and below; never pictures, videos or the terminal.
"""

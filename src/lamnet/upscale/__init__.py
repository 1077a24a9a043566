"""One array, picture or clip through a network in bounded memory.

`Upscaler` is its face; `engine.py` and `layers.py` alone know PyTorch, all else works on NumPy arrays.

May touch `network`, `media` and below; never `evaluation`.
"""

"""One array, picture or clip through a network in bounded memory.

`Upscaler` is the public class; `engine.py` and `layers.py` alone use PyTorch, all else works on NumPy arrays.

May touch `network`, `media` and below; never `evaluation`.
"""

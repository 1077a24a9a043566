"""Fifteen minutes of a GPU: is it right, how fast is it, and then training; docs/gpu.md says how to use it.

Nothing here or in what it imports of lamnet needs more than Python, NumPy, PyTorch and, where there is one, Triton.
"""

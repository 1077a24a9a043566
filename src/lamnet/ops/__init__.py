"""The operators of the network: their definition in plain PyTorch, custom ops, and kernels in C and Triton.

May touch `core` and below; never pictures, videos or the terminal.
"""

BACKENDS = ("native", "triton", "reference")
"""The backends in order of preference: C kernels on the processor, Triton on a GPU, plain PyTorch anywhere."""

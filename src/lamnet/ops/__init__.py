"""The operators of the network: their definition in plain PyTorch, custom ops, and kernels in C and Triton.

May touch `core` and below; never pictures, videos or the terminal.
"""

"""The network without PyTorch: its configuration, its weights files, and the C library that runs it on a processor.

May import NumPy; never PyTorch, pictures or the terminal.
"""

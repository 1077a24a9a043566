"""The commands: words in, lines out.

May touch every room; it alone, besides training.monitor, touches the terminal.
"""

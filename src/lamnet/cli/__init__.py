"""The commands: words in, lines out.

May touch every room; the terminal is its alone.
"""

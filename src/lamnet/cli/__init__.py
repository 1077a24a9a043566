"""The commands: words in, lines out.

May touch every room, and alone touches the terminal (training.monitor aside).
"""

"""One array, picture or clip through a network in bounded memory.

May touch `network`, `media` and below; never `evaluation`.
"""

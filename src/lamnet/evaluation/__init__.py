"""How good a network is and how fast: protocol, benchmark folders, contenders, reports, speed.

May touch `network`, `media` and below; never `upscale`.
"""

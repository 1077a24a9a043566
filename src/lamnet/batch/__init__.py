"""Many files in one call: which, where to, here, on a cluster or in buckets.

May touch `upscale` and below; never the terminal.
"""

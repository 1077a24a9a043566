"""Photographs to a prepared set, and a prepared set to weights.

May touch `evaluation`, `network` and below; never `batch` or `cli`.
"""

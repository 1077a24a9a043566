"""The foundation of every room: errors, atomic files, optional packages, progress events, interrupts.

May touch the standard library alone.
"""

"""What every room stands on: errors, atomic files, optional packages, interrupts.

May touch the standard library alone.
"""

"""Behaviour that must outlive any rearrangement of the code: commands, results, files and names, held in data here.

`LAMNET_FREEZE=1 pytest tests/frozen` writes the data anew; what it changes is then seen in the diff, and belongs into
the changelog. surface.py alone imports lamnet's modules.
"""

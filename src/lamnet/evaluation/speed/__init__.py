"""`lamnet bench`: times and peak memory of networks and operators, in turns."""

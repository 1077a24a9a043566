"""One module a picture format, each to the contract in media.formats: FORMAT, load, extras and, if it is written, save.

They hold what libvips does not see in these files, and what it does not write.
tests/libraries names, for each of these work-arounds, the version that ends it, and fails once it does.
"""

"""One module a picture format: what libvips does not see in its files, and what it does not write."""

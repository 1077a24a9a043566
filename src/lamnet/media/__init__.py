"""Picture and video files to pixels and back, with all that belongs to them: profiles, EXIF, orientation, timing.

May touch `base`, NumPy, libvips, Pillow, PyAV, and where a file needs them the packages of the extra `formats`: imagecodecs,
tifffile, OpenEXR, pi-heif, pylibjxl. Never PyTorch.
"""

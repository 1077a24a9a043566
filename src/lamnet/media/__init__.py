"""Picture and video files to pixels and back, with all that belongs to them: profiles, EXIF, orientation, timing.

May touch `base`, libvips, Pillow and PyAV; never PyTorch.
"""

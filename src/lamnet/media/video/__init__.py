"""Video files by PyAV: what has to be kept of them, frames to RGB and back, encoding and joining."""

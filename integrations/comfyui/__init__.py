"""LAMNet for ComfyUI: its files in the stock nodes, and a node of its own."""

from lamnet.integrations import spandrel

from .nodes import comfy_entrypoint

spandrel.register()

__all__ = ["comfy_entrypoint"]

"""Figures for a paper, one module each: computed into a dataclass, drawn from it, saved by `layout`.

May touch `evaluation`, `network` and below; never `upscale`.
"""

from lamnet.base.extras import require

require("torch", "torch,figures", "figures")

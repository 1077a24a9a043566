"""The window under the name it had before it moved to the core."""

from lamnet.core.window import PAPER_WINDOW as PAPER_WINDOW
from lamnet.core.window import Window as Window

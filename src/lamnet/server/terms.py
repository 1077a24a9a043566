"""What the page says of the weights: their licence and what they were trained on."""

from __future__ import annotations

from lamnet.core import shipped


def terms() -> str:
    """The terms of the weights that ship, and the model card of each."""
    cards = [one.path.with_suffix(".md").read_text(encoding="utf-8") for one in shipped.shipped()]
    summary = "\n".join(f"{name}: {text}" for name, text in shipped.TERMS.items())
    return "\n\n".join([f"The weights\n\n{summary}", *cards])

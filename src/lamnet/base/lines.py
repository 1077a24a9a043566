"""Lines for a terminal, of text that anybody may have written."""

from __future__ import annotations

import unicodedata


def one_line(text: object, encoding: str | None = None) -> str:
    """Make one printable line, whatever bytes a file's name has and whatever letters an encoding lacks; None is UTF-8."""
    encoding = encoding or "utf-8"
    known = str(text).encode(encoding, errors="backslashreplace").decode(encoding)
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in known)

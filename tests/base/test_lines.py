"""Lines for a terminal."""

from __future__ import annotations

from lamnet.base.lines import one_line


def test_a_line_holds_nothing_that_drives_a_terminal() -> None:
    assert one_line("a\x1b[31m\r\n\x9b\u2028é日.png") == "a\\x1b[31m\\r\\n\\x9b\\u2028é日.png"


def test_letters_that_an_encoding_lacks_are_escaped() -> None:
    assert one_line("é日\udcff", "latin-1") == "é\\u65e5\\udcff"
    assert one_line("é日\udcff") == "é日\\udcff"

"""What Cyclopts 5.4 still cannot do, so that we do it: a test that fails here names code to delete."""

from __future__ import annotations

import pytest
from cyclopts import App, CycloptsError


@pytest.mark.parametrize("arguments", [["-"], ["a.png", "--out", "-"]])
def test_cyclopts_still_takes_a_dash_alone_for_an_option(arguments: list[str]) -> None:
    """None known. cli/upscale.py: `with_streams`."""
    app = App()

    @app.default
    def command(photos: list[str], /, *, out: str | None = None) -> None: ...

    with pytest.raises(CycloptsError):
        app(arguments, exit_on_error=False, print_error=False)


def test_cyclopts_still_rounds_fractions() -> None:
    """None known. cli/whole.py."""
    app = App()

    @app.default
    def command(*, scale: int) -> int:
        return scale

    assert app(["--scale", "3.9"], exit_on_error=False, result_action="return_value") == 4

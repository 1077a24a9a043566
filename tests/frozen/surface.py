"""The only door of these tests to lamnet: where its modules move, this file follows and nothing else here does."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from cyclopts import App

import lamnet
from lamnet.__main__ import main
from lamnet.cli.main import app

PUBLIC = lamnet


def command() -> App:
    """The object that holds all verbs."""
    return app


@dataclass(frozen=True)
class Ran:
    """Exit code and text of a call of the command."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Ran:
    """Call `lamnet ARGUMENTS...` in this process, on one thread so that nothing depends on the number of cores."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        warnings.catch_warnings(),
        pytest.MonkeyPatch.context() as patch,
        _one_thread(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("ignore", UserWarning)  # cyclopts warns of an App that reads sys.argv under pytest
        patch.setattr(sys, "argv", ["lamnet", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""The command: each verb parses, calls one function and prints. Results on stdout, progress and errors on stderr."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from lamnet import __version__
from lamnet.errors import LamnetError

app = App(name="lamnet", help="Lightweight image super-resolution with LAMNet.", version=__version__)


def main() -> None:
    """Run one command; exit code 1 for a refused input, 2 for a misused command line."""
    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(2)
    except LamnetError as error:
        print(f"lamnet: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lamnet: interrupted", file=sys.stderr)
        sys.exit(130)

"""The command `lamnet`, `python -m lamnet`, and what `torchrun -m lamnet` starts."""

import os

from lamnet.base import interrupts


def main() -> None:
    """Run one command, as `lamnet.cli.main`; a signal ends it with one line, at once where it has nothing to clean up."""
    os.environ.setdefault(
        "OPENBLAS_THREAD_TIMEOUT", "4"
    )  # else NumPy's threads, which have no work, wait busily for it
    with interrupts.at_once():
        from lamnet.cli.main import main as command

        command()


if __name__ == "__main__":
    main()

"""Work-arounds for Ray 2.40 to 2.63: its prints, its signal handlers, the clusters that it starts by itself."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, redirect_stdout
from typing import Any

from lamnet.base import interrupts
from lamnet.base.errors import BackendError

WAIT_S = 60  # for a cluster; Ray itself waits for minutes


def set_environment() -> None:
    """Set a variable that Ray reads at its import: without it, an object that is freed late starts a second cluster."""
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")


def is_here(ray: Any) -> bool:
    """Tell whether the workers will be on this machine alone."""
    return not ray.is_initialized() and os.environ.get("RAY_ADDRESS", "local") == "local"


@contextmanager
def started(ray: Any) -> Generator[None]:
    """Start a cluster and end it, in a thread: meanwhile Ray answers no signal, and it takes SIGTERM for itself.

    The thread lives as long as the cluster, since Ray's processes end with the thread that started them. Raises
    BackendError where there is no cluster after WAIT_S.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it warns on stderr of what it does for us
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is raised as well
    problems: list[Exception] = []
    is_up, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:  # Ray raises just that
            problems.append(error)
        is_up.set()
        is_over.wait()
        ray.shutdown()

    thread = threading.Thread(target=hold, daemon=True)
    try:
        with _silent_stderr():  # where it would say that the variable is set
            thread.start()
            if not is_up.wait(WAIT_S):
                problems.append(TimeoutError(f"none answered in {WAIT_S} s"))
        if problems:
            raise BackendError(f"engine: expected a Ray cluster, {str(problems[0]).splitlines()[0]}") from problems[0]
        interrupts.renew()
        yield
    finally:
        is_over.set()
        thread.join(WAIT_S if is_up.is_set() else 0)


def set_up(data: Any) -> None:
    """Silence Ray Data, and let it continue where a block is lost: a block is a picture, which is tried again."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def without_warnings() -> AbstractContextManager[Any]:
    """Silence warnings within: Ray 2.64 has another option for max_task_retries."""
    return warnings.catch_warnings(action="ignore")


def rows_of(ray: Any, results: Any) -> Generator[dict[str, Any]]:
    """Yield the rows of a Ray data set, and close it at the end: left open, it starts a cluster when Python frees it.

    Raises BackendError where the cluster fails.
    """
    with closing(iter(results.iter_rows())) as rows:
        while (row := _next(ray, rows)) is not None:
            yield row


def _next(ray: Any, rows: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        with redirect_stdout(sys.stderr):  # Ray announces lost workers on stdout, where results belong
            return next(rows, None)
    except ray.exceptions.RayError as error:
        raise BackendError(f"engine: expected a Ray cluster at work, {str(error).splitlines()[0]}") from error


@contextmanager
def _silent_stderr() -> Generator[None]:
    """Discard native code's output on stderr within; exceptions are not discarded."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)

"""Run a queue of trainings one after another at the lowest priority, and go on where the last call was stopped.

    python tools/train_on.py QUEUE           # run what is left
    python tools/train_on.py QUEUE --status  # one line: what runs, and since when

A queue is a text file: a line for each training, `lamnet train ...` or what follows these words; empty lines and those that
begin with # do not count. It may be changed at any time: what is done is told by the line's words. Beside it lies
QUEUE.state.json with what is done. A training that fails is passed over and tried again by the next call. A stable phase
ends only with --budget or --steps; the same line with more of them goes on with it later.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

NICE = 19
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def parse(text: str) -> list[list[str]]:
    """The words after `lamnet train` of every line. Raises ValueError, which names the line, for anything else."""
    queue: list[list[str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}: {line.strip()}") from error
        if words[:1] == ["lamnet"]:
            words = words[1:]
            if words[:1] != ["train"]:
                raise ValueError(f"line {number}: expected lamnet train ..., found {line.strip()}")
        if words[:1] == ["train"]:
            words = words[1:]
        if not words:
            continue
        if "--data" not in words or "--out" not in words:
            raise ValueError(f"line {number}: expected a recipe, --data and --out, found {line.strip()}")
        if words in queue:
            raise ValueError(f"line {number}: expected each training once, found again: {line.strip()}")
        queue.append(words)
    return queue


def waiting(queue: list[list[str]], state: Mapping[str, Any]) -> list[list[str]]:
    """List the trainings that are not done yet."""
    return [words for words in queue if shlex.join(words) not in state.get("done", ())]


def status(queue: list[list[str]], state: Mapping[str, Any], running: bool, now: float) -> str:
    """One line: how much is done, what runs and since when, what failed."""
    left = len(waiting(queue, state))
    parts = [f"{len(queue) - left} of {len(queue)} done"]
    if running and state.get("now"):
        since = time.strftime("%H:%M", time.localtime(state["since"]))
        parts.append(f"since {since} ({(now - state['since']) / 60:.0f} min): train {state['now']}")
    else:
        parts.append("nothing runs" if left else "nothing left")
    if failed := state.get("failed"):
        parts.append(f"failed: {'; '.join(f'train {words} (exit {code})' for words, code in failed.items())}")
    return ", ".join(parts)


class State:
    """The record of finished trainings, in a file that is replaced as a whole."""

    def __init__(self, queue: Path) -> None:
        self._path = queue.with_name(f"{queue.name}.state.json")
        self.lock = queue.with_name(f"{queue.name}.lock")

    def read(self) -> dict[str, Any]:
        """Read the last record."""
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def write(self, **changes: Any) -> None:
        """Change some of it."""
        partial = self._path.with_name(f".{self._path.name}.partial")
        partial.write_text(json.dumps(self.read() | changes, indent=1))
        os.replace(partial, self._path)

    @contextmanager
    def held(self) -> Generator[bool]:
        """Hold the lock of this queue; yield whether no other call has it."""
        with self.lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def run(path: Path, command: list[str]) -> int:
    """Run what is left of a queue; 1 where a training failed, 128 + its number after a signal."""
    state, failed = State(path), dict[str, int]()
    state.write(failed={})
    while left := [
        words for words in waiting(parse(path.read_text()), state.read()) if shlex.join(words) not in failed
    ]:
        line = shlex.join(left[0])
        state.write(now=line, since=time.time())
        print(f"train {line}", flush=True)
        code, stopped = _trained([*command, *left[0]])
        if stopped:
            state.write(now=None)
            return 128 + stopped
        if code:
            failed[line] = code
        state.write(now=None, failed=failed, **({} if code else {"done": [*state.read().get("done", ()), line]}))
    return int(bool(failed))


def _trained(command: list[str]) -> tuple[int, int]:
    """The exit code of a command, and the signal that asked to end; it gets the signal too, and time to save its state."""
    asked: list[int] = []

    def passed_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        process.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    def begin() -> None:
        os.nice(NICE)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until there is a process to pass them on to
    process = subprocess.Popen(command, preexec_fn=begin, start_new_session=True)
    before = {number: signal.signal(number, passed_on) for number in _SIGNALS}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        return process.wait(), asked[0] if asked else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("queue", type=Path)
    parser.add_argument("--status", action="store_true", help="print one line and do nothing")
    given = parser.parse_args()
    try:
        queue = parse(given.queue.read_text())
    except (OSError, ValueError) as error:
        print(f"{given.queue}: {error}", file=sys.stderr)
        return 1
    state = State(given.queue)
    with state.held() as alone:
        if given.status or not alone:
            print(status(queue, state.read(), running=not alone, now=time.time()))
            return 0
        code = run(given.queue, [sys.executable, "-m", "lamnet", "train"])
        print(status(queue, state.read(), running=False, now=time.time()))
        return code


if __name__ == "__main__":
    sys.exit(main())

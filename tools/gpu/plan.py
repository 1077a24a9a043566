"""The stages of a call one after the other, each in a process of its own with a limit, whatever becomes of the one before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from gpu import report
from gpu.call import Call

ROOT = Path(__file__).parents[2]
MOST_S = {"check": 60.0, "bench": 80.0, "ways": 90.0}
SHARE = 0.22  # of a call's time that a stage before the training gets at most
SAVES_S = 8.0  # for a stage that was asked to end
_LOOKS_S = 0.2
_MIRRORS_S = 2.0


def run(call: Call) -> int:
    """Go through all stages; 0 where training came to its end, whatever was found before."""
    plan = Plan(call)
    before = {number: signal.signal(number, plan.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return plan.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Plan:
    """The stages of a call under way."""

    def __init__(self, call: Call) -> None:
        self._call, self._begun, self._stopped = call, time.time(), False
        self._whole = call.left

    def stop(self, number: int, frame: FrameType | None) -> None:
        """End after the stage under way, which is asked to end."""
        self._stopped = True

    def run(self) -> int:
        call = self._call
        unpacking, unpacked_since = self._started("unpack", call.until), time.time()
        for name, most in MOST_S.items():
            if call.fleet and name != "check":  # a fleet has a form of its own
                continue
            if not self._stopped and name not in call.results():  # nor did an earlier call come to it
                self._stage(name, SHARE * self._whole if call.dry else min(most, SHARE * self._whole))
        outcome = self._ended(unpacking, call.until)
        self._record("unpack", outcome, unpacked_since)
        if outcome != "done":
            return 1
        outcome = "not begun"
        for plain in ((), ("--plain",)):
            if self._stopped or call.left < 1:
                break
            outcome = self._stage("train", call.left, *plain)
            if not outcome.startswith("failed"):
                break
        return int(outcome != "done")

    def _stage(self, name: str, most: float, *options: str) -> str:
        """Run a stage for so many seconds at most."""
        since = time.time()
        print(f"== {name}: {most:.0f} s at most, {self._call.left:.0f} s are left", flush=True)
        until = min(since + most, self._call.until)
        outcome = self._ended(self._started(name, until, *options), until)
        self._record(name, outcome, since)
        return outcome

    def _record(self, name: str, outcome: str, since: float) -> None:
        seconds = round(time.time() - since, 1)
        print(f"== {name}: {outcome} after {seconds} s", flush=True)
        self._call.record(name, {**self._call.findings(name), "outcome": outcome, "seconds": seconds})
        report.write(self._call)
        self._call.mirror()

    def _started(self, name: str, until: float, *options: str) -> subprocess.Popen[bytes]:
        call = self._call
        (call.folder / "work" / f"{name}.json").unlink(missing_ok=True)
        words = [sys.executable, "-u", "-m", "gpu", "stage", name, "--folder", str(call.folder), "--out", str(call.out)]
        words += ["--until", str(until), "--cooldown", str(call.cooldown), *["--dry"] * call.dry, *options]
        return subprocess.Popen(words, stdin=subprocess.PIPE, env=_environment(call))

    def _ended(self, process: subprocess.Popen[bytes], until: float) -> str:
        """Wait for a stage; return "done", or why it ended otherwise. Meanwhile what it has saved goes where results go."""
        asked = mirrored = 0.0
        while process.poll() is None:
            time.sleep(_LOOKS_S)
            now = time.time()
            if not asked and (self._stopped or now > until - SAVES_S / 4):
                asked = now
                process.terminate()
            elif asked and now > asked + SAVES_S:
                process.kill()
            if now > mirrored + _MIRRORS_S:
                mirrored = now
                self._call.mirror()
        if process.stdin:
            process.stdin.close()
        if asked and process.returncode != 0:
            return "stopped" if self._stopped else "out of time"
        return "done" if process.returncode == 0 else f"failed ({process.returncode})"


def _environment(call: Call) -> dict[str, str]:
    """Return the environment in which a stage finds lamnet, and pure wheels of others that were carried along."""
    paths = [str(ROOT / "src"), str(ROOT / "tools"), *map(str, sorted((call.folder / "feed").glob("*.whl")))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
        "OPENBLAS_NUM_THREADS": "1",  # threads and processes of ours reduce many pictures at once
    }
    if call.dry:
        environment |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return environment

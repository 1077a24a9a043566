"""`python -m gpu run`, `pack` and, for the processes of a call, `stage`; see docs/gpu.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from gpu import plan
from gpu.call import Call
from lamnet.base.errors import LamnetError
from lamnet.base.interrupts import Stopped


def main(words: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    given = _parser().parse_args(words)
    try:
        return given.run(given)
    except Stopped as error:
        return 128 + error.args[0]
    except LamnetError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="check, bench, train")
    run.set_defaults(run=_run)
    run.add_argument(
        "--seconds", type=float, default=0.0, help="for this call; 570, or 110 for a dry one, when left out"
    )
    stage = commands.add_parser("stage", help="one stage, as run starts it")
    stage.set_defaults(run=_stage)
    stage.add_argument("name", choices=["unpack", "check", "bench", "ways", "train"])
    stage.add_argument("--until", type=float, required=True)
    stage.add_argument("--plain", action="store_true")
    for one in (run, stage):
        one.add_argument(
            "--folder", type=Path, help="runs/gpu when left out; for a dry call runs/gpu-dry, which begins anew"
        )
        one.add_argument("--out", type=Path, default=None, help="for results; $OUT, or FOLDER/out, when left out")
        one.add_argument("--cooldown", type=float, default=0.0, help="seconds at the end of the call")
        one.add_argument("--dry", action="store_true", help="on the processor, in small")
    pack = commands.add_parser("pack", help="make what the GPU's machine is fed")
    pack.set_defaults(run=_pack)
    pack.add_argument("--data", type=Path, required=True, help="a prepared set")
    pack.add_argument("--watched", type=Path, help="a prepared set of photographs for PSNR alone")
    pack.add_argument(
        "--start",
        type=Path,
        nargs="+",
        default=[],
        help="a stable phase's checkpoint or any weights, one for each recipe; base x4 that ships when left out",
    )
    pack.add_argument(
        "--recipe",
        type=Path,
        nargs="+",
        default=[],
        help="TOML of a stable phase, or several; base_x4_stable when left out",
    )
    pack.add_argument("--megabytes", type=float, help="for photographs; what a tree of 64 MiB has left when left out")
    pack.add_argument("--folder", type=Path, default=Path("runs/gpu"))
    return parser


def _run(given: argparse.Namespace) -> int:
    begun = time.time()
    if not given.dry:
        import torch

        if not torch.cuda.is_available():
            print("no CUDA device; `make gpu --dry` goes through everything on the processor", file=sys.stderr)
            return 1
    if given.folder is None:
        given.folder = Path("runs/gpu-dry" if given.dry else "runs/gpu")
        if given.dry:
            shutil.rmtree(given.folder, ignore_errors=True)
    call = _call(given, begun + (given.seconds or (110 if given.dry else 570)))
    if not call.photos.exists():
        if not given.dry:
            print(
                f"{call.photos}: expected a pack of photographs, found none; `make gpu-pack` makes one", file=sys.stderr
            )
            return 1
        from gpu import feed

        feed.invented(call)
    return plan.run(call)


def _call(given: argparse.Namespace, until: float) -> Call:
    out = given.out or Path(os.environ.get("OUT") or given.folder / "out")
    return Call(given.folder, out, until, given.cooldown, given.dry)


def _stage(given: argparse.Namespace) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    call = _call(given, given.until)
    if given.name == "unpack":
        from gpu.pack import Pack, unpack
        from gpu.ways import BATCH, fed, recipe_for

        scales = {fed(path).scale for path in call.fleet} or {recipe_for(call, BATCH).scale}
        unpack(Pack.open(call.photos), call.set, sorted(scales))
    elif given.name == "check":
        from gpu.check import check

        check(call)
    elif given.name == "bench":
        from gpu.bench import bench

        bench(call)
    elif given.name == "ways":
        from gpu.ways import try_all

        try_all(call)
    else:
        from gpu.training import train

        train(call, given.plain)
    return 0


def _end_with_parent() -> None:
    """Ask this process to end when the one that started it is gone, which held the other end of stdin."""
    os.read(0, 1)  # not sys.stdin, whose lock would keep a process from its end
    os.kill(os.getpid(), signal.SIGTERM)


def _pack(given: argparse.Namespace) -> int:
    from gpu import feed

    feed.make(given.folder, given.data, given.watched, given.start, given.recipe, given.megabytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line: verbs, parameters, defaults and exit codes, without the prose of their help."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from cyclopts import App
from cyclopts.argument import Argument
from PIL import Image

from frozen.held import hold
from frozen.surface import command, run

pytestmark = pytest.mark.thorough

CALLS = """
--help
--version
nonsense
upscale --help
upscale
upscale absent.png
upscale text.png
upscale empty
upscale small.png --model tiny --scale 2
upscale small.png --model tiny --scale 2 --overwrite
upscale small.png absent.png --model tiny --scale 2 --out several
upscale small.png --model tiny --dry-run
upscale small.png --scale two
upscale small.png --scale 9
upscale small.png --scale 2 --to 10x
upscale small.png --to wide
upscale small.png --model absent
upscale small.png --device nowhere
upscale small.png --precision half
upscale small.png --memory much
upscale small.png --max-pixels 5
upscale small.png --no-overwrite
upscale small.png --nonsense
upscale small.png --out small.png
upscale small.png --out small.xyz
evaluate --help
evaluate bicubic
evaluate bicubic --data absent
evaluate bicubic --data photographs --scale 2
evaluate bicubic --data photographs --metrics nonsense
evaluate --data photographs
prepare
prepare absent set
prepare empty set
prepare photographs set --scales 9
train
train nonsense --data set --out run
train tiny_x2 --data absent --out run
train tiny_x2 --data set --out run --steps 2 --budget 1m
train tiny_x2 --data set --out run --budget long
models
info
bench nonsense
bench tiny --rounds 0
bench tiny --scale 5
export tiny
export tiny network.txt
export absent network.onnx
figures
figures --help
figures nonsense
figures compare small.png tiny
figures compare absent.png tiny --out figure.png
figures compare small.png tiny --out figure.gif
figures attribution small.png tiny --out figure.png
figures curve absent --out figure.png
figures curve absent --out figure.png --against nothing
figures performance absent.json --speed absent.json --out figure.png
"""


def test_verbs_and_parameters() -> None:
    hold("cli.txt", "\n".join(_verbs(command(), [])))


def test_exit_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes, and whether stdout and stderr get any text."""
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "photographs"):
        Path(name).mkdir()
    Image.new("RGB", (12, 8), "red").save("small.png")
    Image.new("RGB", (52, 50), "red").save("photographs/red.png")
    Path("text.png").write_text("no picture")
    lines: list[str] = []
    for call in ["", *CALLS.strip().splitlines()]:
        ran = run(*call.split())
        spoken = [name for name, text in (("stdout", ran.out), ("stderr", ran.err)) if text.strip()]
        lines.append(f"{ran.code}  {'+'.join(spoken) or 'silent':14} lamnet {call}".rstrip())
    hold("exit_codes.txt", "\n".join([*lines, ""]))


def _verbs(app: App, path: list[str]) -> Iterator[str]:
    """An app's own parameters, then those of the verbs below it, by name."""
    root = command()
    chain = root.parse_commands(path)[1]
    flags = {*app.help_flags, *app.version_flags}
    with root.app_stack(chain):
        yield f"lamnet {' '.join(path)}".rstrip() + f"  [{' '.join(sorted(flags))}]"
        if app.default_command is not None and (path or app is not root):
            arguments = app.assemble_argument_collection()
            yield from (f"    {_parameter(one)}" for one in arguments if one.show and one.parse)
    yield ""
    for name in sorted(set(app) - flags):
        yield from _verbs(app[name], [*path, name])


def _parameter(argument: Argument) -> str:
    kind = argument.field_info.kind
    places = {kind.POSITIONAL_ONLY: "by place", kind.KEYWORD_ONLY: "by name", kind.VAR_POSITIONAL: "the rest"}
    many = ", many values after one name" if argument.parameter.consume_multiple else ""
    default = "required" if argument.required else f"default {_default(argument)}"
    names = " ".join(argument.names)
    return f"{names}: {_type(argument.hint)}, {places.get(kind, 'by place or name')}, {default}{many}"


def _default(argument: Argument) -> str:
    default = argument.field_info.default
    if default is argument.field_info.empty:
        return "nothing"
    return str(default) if isinstance(default, Path) else repr(default)


def _type(hint: Any) -> str:
    parts, origin = get_args(hint), get_origin(hint)
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in (list, tuple):
        return f"{origin.__name__}[{', '.join('...' if part is ... else _type(part) for part in parts)}]"
    return str(getattr(hint, "__name__", hint))

"""Calls of the C kernels from Python: the structs of their arguments, the choice of the library, what is refused."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lamnet.base.errors import BackendError
from lamnet.ops import arguments, native
from lamnet.ops.arguments import STRUCTS, AttentionSizes, TapWindow
from lamnet.ops.c_struct import Struct, int64s

NO_NATIVE = native.why_not()
needs_native = pytest.mark.skipif(NO_NATIVE is not None, reason=f"native: {NO_NATIVE}")
HEADER = Path(__file__).parents[2] / "src" / "lamnet" / "ops" / "csrc" / "arguments.h"
needs_sources = pytest.mark.skipif(not HEADER.exists(), reason="without the kernels' sources")


def _structs_in_c() -> dict[str, list[tuple[str, str]]]:
    """The structs of arguments.h: name -> (kind, name) of each field, the kind as a Python field would have it."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    found: dict[str, list[tuple[str, str]]] = {}
    for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", text, flags=re.DOTALL):
        found[name] = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            kind, fields = declaration.removeprefix("const ").split(" ", 1)
            for field in fields.split(","):
                address = "int64_t*" if kind == "int64_t" else "address"
                found[name].append((address if "*" in field else kind, field.strip(" *")))
    return found


def _in_c(kind: object) -> str:
    if kind is ctypes.c_int64:
        return "int64_t"
    if kind is ctypes.POINTER(ctypes.c_int64):
        return "int64_t*"
    return kind.c_name if isinstance(kind, type) and issubclass(kind, Struct) else "address"


@needs_sources
def test_c_and_python_declare_the_same_fields() -> None:
    declared = _structs_in_c()
    assert list(declared) == [struct.c_name for struct in STRUCTS]
    for struct in STRUCTS:
        fields = [(_in_c(kind), name) for name, kind, *_ in struct._fields_]
        assert fields == declared[struct.c_name], struct.c_name


def test_every_struct_is_laid_out() -> None:
    assert set(STRUCTS) == set(Struct.__subclasses__())
    assert {struct.__module__ for struct in STRUCTS} == {arguments.__name__}


@pytest.mark.thorough
def test_numbers_of_a_struct_live_as_long_as_it_does() -> None:
    def window() -> TapWindow:
        numbers = [int64s([i] * 1000) for i in range(3)]
        return TapWindow(taps=1000, tables=1000, reach=2, starts=numbers[0], table=numbers[1], lengths=numbers[2])

    sizes = AttentionSizes(threads=1, dtype=0, batch=1, axis=1, across=1, channels=1, heads=1, step=1, window=window())
    gc.collect()
    for i, name in enumerate(("starts", "table", "lengths")):
        assert getattr(sizes.window, name)[:1000] == [i] * 1000


@needs_native
def test_the_library_agrees_on_sizes() -> None:
    library = native.library()
    assert isinstance(library, ctypes.CDLL)
    assert native.difference(library) is None
    assert library.lamnet_size_of(b"no such struct") == 0


class _Other:
    """Functions of the library, some of them missing, with the last struct as long as it is told."""

    def __init__(self, missing: str = "", shorter: int = 0) -> None:
        self.missing = missing
        self.lamnet_size_of = _SizeOf(shorter)

    def __getattr__(self, name: str) -> object:
        if name == self.missing:
            raise AttributeError(name)
        return object()


class _SizeOf:
    def __init__(self, shorter: int) -> None:
        self.shorter = shorter

    def __call__(self, name: bytes) -> int:
        struct = next(struct for struct in STRUCTS if struct.c_name == name.decode())
        return ctypes.sizeof(struct) - self.shorter * (struct is STRUCTS[-1])


def test_a_library_of_another_version_is_refused() -> None:
    assert native.difference(_Other()) is None  # type: ignore[arg-type]
    found = native.difference(_Other(shorter=8))  # type: ignore[arg-type]
    size = ctypes.sizeof(STRUCTS[-1])
    assert found == f"residual_backward_arguments: expected {size} bytes, found {size - 8}"
    for name in ("lamnet_set_pool", "lamnet_fsa"):
        assert native.difference(_Other(name)) == f"it has no {name}"  # type: ignore[arg-type]


def _why_not(kernels: str) -> str:
    """Ask for the reason why a library does not run, in a process of its own."""
    code = "from lamnet.ops.native import why_not; print(why_not())"
    environment = {**os.environ, "LAMNET_KERNELS": kernels}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.strip()


@pytest.mark.thorough
def test_a_library_that_was_asked_for(tmp_path: Path) -> None:
    assert re.fullmatch(r"its kernels do not load: .*missing\.so.*", _why_not(str(tmp_path / "missing.so")))
    other = torch._C.__file__
    expected = (
        f"its kernels in {Path(other).name} are of another version: it has no lamnet_size_of; install the package again"
    )
    assert _why_not(other) == expected


def test_why_no_build_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> tuple[str, ...]:
        raise BackendError("core: none was built")

    monkeypatch.delenv("LAMNET_KERNELS", raising=False)
    monkeypatch.setattr(native, "built", lambda level: Path(level) if level == "x86_64" else None)
    for levels, why in [
        (lambda: ("x86_64",), "has no AVX2"),
        (lambda: ("x86_64_v4", "x86_64_v3", "x86_64"), "was built without its kernels for x86_64_v3"),
        (absent, "core: none was built"),
    ]:
        monkeypatch.setattr(native, "levels", levels)
        assert str(native.library.__wrapped__()).endswith(why)


@pytest.mark.thorough
@needs_native
def test_the_installed_library_can_be_asked_for() -> None:
    library = native.library()
    assert isinstance(library, ctypes.CDLL)
    assert _why_not(library._name) == "None"

"""Calls of the C library from Python: structs, the choice of the build, its absence."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lamnet.base import processors
from lamnet.base.errors import BackendError
from lamnet.core import library
from lamnet.core.builds import LEVELS

HEADER = Path(__file__).parents[2] / "src" / "lamnet" / "ops" / "csrc" / "network.h"


@pytest.mark.skipif(not HEADER.exists(), reason="without the library's sources")
@pytest.mark.parametrize(
    "struct", [library.NetworkConfig, library.NetworkRun, library.NetworkLayer, library.NetworkEnds]
)
def test_c_and_python_declare_the_same_fields(struct: type[ctypes.Structure]) -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", struct.__name__).lower()
    body = next(body for body, found in re.findall(r"typedef struct \{([^}]*)\} (\w+);", text) if found == name)
    declared: list[tuple[str, bool]] = []
    for declaration in filter(None, map(str.strip, body.split(";"))):
        _, fields = declaration.removeprefix("const ").split(" ", 1)
        declared += [(field.strip(" *"), "*" in field) for field in fields.split(",")]
    assert declared == [(field, kind is ctypes.c_void_p) for field, kind, *_ in struct._fields_]


@pytest.mark.thorough
@pytest.mark.usefixtures("built")
def test_every_build_below_the_best_gives_the_same_picture() -> None:
    if not (plain := next(library.FOLDER.glob("_native_x86_64.*"), None)):
        pytest.skip("not on this processor")
    level = ctypes.CDLL(str(plain)).lamnet_level()
    code = """
import numpy as np
from lamnet.core import weights
from lamnet.core.network import Network
c = weights.load("tiny", 2)
pixels = np.random.default_rng(0).random((9, 11, 3), np.float32)
for precision in ("float32", "bfloat16"):
    print(*Network(c.config, c.state, precision)(pixels).ravel())
"""
    results: list[list[list[float]]] = []
    for name in list(LEVELS["x86_64"])[: level + 1]:
        path = next(library.FOLDER.glob(f"_native_{name}.*"))
        done = subprocess.run(
            [sys.executable, "-c", code], env={"LAMNET_KERNELS": str(path)}, capture_output=True, text=True, check=True
        )
        results.append([[float(number) for number in line.split()] for line in done.stdout.splitlines()])
    for single, half in results:
        assert max(abs(a - b) for a, b in zip(single, results[0][0], strict=True)) < 3e-6
        assert max(abs(a - b) for a, b in zip(half, results[0][0], strict=True)) < 0.05


def test_a_missing_or_foreign_library_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "other.so").write_bytes(b"not a library")
    code = "from lamnet.core.library import library\nlibrary()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"LAMNET_KERNELS": str(tmp_path / "other.so")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"BackendError: other\.so: expected a library of this package, found ", done.stderr)


@pytest.mark.usefixtures("built")
def test_a_library_of_another_version_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    name = re.escape(library.library()._name.rpartition("/")[2])
    end = "; it is of another version than the package, install that again"
    with monkeypatch.context() as patch:
        patch.setitem(library._STRUCTS, "network_run", library.NetworkEnds)
        with pytest.raises(BackendError, match=rf"^{name}: expected network_run of \d+ bytes, found 72{end}$"):
            library.library.__wrapped__()
    monkeypatch.setattr(library, "_FUNCTIONS", ("run", "unheard_of"))
    with pytest.raises(
        BackendError, match=rf"^{name}: expected all functions, found .*lamnet_network_unheard_of{end}$"
    ):
        library.library.__wrapped__()


def test_no_library_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAMNET_KERNELS", raising=False)
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    with pytest.raises(BackendError, match=r"core: expected its library for .* found none"):
        library.library.__wrapped__()


def test_threads_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "available", lambda: 4)
    for value, wanted, threads in (("3,2", 3, 3), ("100000", 100000, 4), ("none", 4, 4), ("0", 4, 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert (library.wanted_threads(), library.default_threads()) == (wanted, threads)


def test_levels_of_a_processor_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_built", Path)
    monkeypatch.setattr(library, "_open", lambda path: SimpleNamespace(lamnet_level=lambda: len(path.name) % 3))
    monkeypatch.setattr(library, "LEVELS", {"x86_64": ("x86_64", "avx2", "more"), "aarch64": ("aarch64", "sve")})
    for machine, names in (
        ("x86_64", ("x86_64",)),
        ("AMD64", ("x86_64",)),
        ("arm64", ("sve", "aarch64")),
        ("aarch64", ("sve", "aarch64")),
        ("riscv64", ("riscv64",)),
    ):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert library.levels() == names

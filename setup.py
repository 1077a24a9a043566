"""Builds the C library, once per level of instruction sets, with the compiler that comes as the wheel ziglang.

pip fetches it for the build, so nobody needs a compiler; where the build fails, the package installs without the library.
The environment variable LAMNET_PLATFORM names another platform to build a wheel for, as tools/make_wheels.py does.
LAMNET_LEVELS=here builds only what this processor runs: its best level, and in haste (-O0) the plain one, which every processor runs.
Where ziglang is not installed (`make demo` does without), `cc` compiles for x86-64, to libraries that take 1.5 times as long.
"""

import ctypes
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCES = Path("src/lamnet/ops/csrc")
BUILDS = run_path("src/lamnet/core/builds.py")  # the package is not there yet
LEVELS, PLATFORMS = BUILDS["LEVELS"], BUILDS["PLATFORMS"]
ASKED = os.environ.get("LAMNET_PLATFORM")
ONLY_HERE = os.environ.get("LAMNET_LEVELS") == "here"
FLAGS = ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-mprefer-vector-width=512", "-fno-builtin-memcpy"]  # short copies are vector code, not calls
FLAGS += ["-fvisibility=hidden"]  # but for the entries: `gemm` is a name that another library may have too


class ZigBuild(build_ext):
    """Compiles each extension with `python -m ziglang cc`; they are plain libraries, loaded by ctypes."""

    def get_ext_filename(self, fullname: str) -> str:
        """Without Python's ABI, which a plain library has none of."""
        return fullname.replace(".", os.sep) + _platform().suffix

    def build_extension(self, ext: Extension) -> None:
        family, target, _ = _platform()
        level = ext.name.rpartition("_native_")[2]
        output = Path(self.get_ext_fullpath(ext.name))
        plain, *_ = levels = LEVELS[family]
        here = _best_here() if ONLY_HERE else level
        if level not in (here, plain):
            output.unlink(missing_ok=True)
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [*_compiler(levels[level], target), "-O3" if level == here else "-O0", *FLAGS]
        partial = output.with_name(f"partial{output.name}")  # whoever runs the library meanwhile keeps it whole
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = [str(Path(folder, f"{Path(source).stem}.o")) for source in ext.sources]
            parts = zip(ext.sources, objects, strict=True)
            calls = [[*command, "-c", source, "-o", made] for source, made in parts]
            failed = any(pool.map(lambda call: subprocess.run(call).returncode, calls))
            if failed or subprocess.run([*command, "-shared", "-s", "-o", str(partial), *objects, "-lm"]).returncode:
                raise CompileError(f"{ext.name}: {' '.join(command[:4])} failed")
        partial.replace(output)
        for other in output.parent.glob(f"*_native_{level}.*"):  # an earlier build's, by another name; linkers' extras
            if other != output:
                other.unlink()


class Wheel(bdist_wheel):
    """A wheel for any Python: it holds plain libraries."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", ASKED or super().get_tag()[2]


def _platform() -> Any:
    """The Platform of builds.py that is asked for, or that this is; None where it is none of them."""
    if ASKED:
        return PLATFORMS[ASKED]
    linux = "manylinux" if platform.libc_ver()[0] else "musllinux"
    system = {"linux": linux, "darwin": "macosx"}.get(sys.platform, "win")
    family = BUILDS["family_of"](platform.machine())
    return next((one for tag, one in PLATFORMS.items() if tag.startswith(system) and one.family == family), None)


def _compiler(level: Any, target: str) -> list[str]:
    """The command that compiles for a level; zig's, or the machine's own where zig is not installed."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, *level.zig]
    if level.cc and find_spec("ziglang") is None:
        command = ["cc", *level.cc, "-Wno-psabi", "-pthread"]
    return [*command, *([] if "windows" in target else ["-fPIC"])]


@cache
def _best_here() -> str:
    """The best level of this processor, as a library of nothing but level.c tells."""
    family, target, suffix = _platform()
    known = list(LEVELS[family])
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is loaded
        library = Path(folder, f"level{suffix}")
        command = [*_compiler(LEVELS[family][known[0]], target), str(SOURCES / "level.c")]
        if subprocess.run([*command, "-shared", "-o", str(library)]).returncode:
            raise CompileError(f"{library.name}: {' '.join(command[:4])} failed")
        return known[ctypes.CDLL(str(library)).lamnet_level()]


def _extensions() -> list[Extension]:
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    built_for = _platform()
    levels = BUILDS["levels_of"](built_for) if built_for else []
    return [Extension(f"lamnet.ops._native_{level}", sources, optional=not ASKED) for level in levels]


setup(ext_modules=_extensions(), cmdclass={"build_ext": ZigBuild, "bdist_wheel": Wheel})

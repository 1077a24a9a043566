"""Builds the C library, once per level of instruction sets, with the compiler that comes as the wheel ziglang.

pip fetches it for the build, so nobody needs a compiler; where the build fails, the package installs without the library.
The environment variable LAMNET_PLATFORM names another platform to build a wheel for, as tools/make_wheels.py does.
LAMNET_LEVELS=here builds only what this processor runs: the plain level, which every processor does, and its best.
Where ziglang is not installed (`make demo` does without), `cc` compiles for x86-64, to libraries that take 1.5 times as long.
"""

import ctypes
import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCES = Path("src/lamnet/ops/csrc")
CC = {  # name -> options of cc, GCC 11 or Clang 12 at least
    "x86_64": ["-march=x86-64"],
    "x86_64_v3": ["-march=x86-64-v3"],
    "x86_64_v4": ["-march=x86-64-v4"],
    "x86_64_v4_bf16": ["-march=x86-64-v4", "-mavx512bf16"],
    "x86_64_v4_amx": ["-march=x86-64-v4", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
}
LEVELS = {  # name -> zig's -mcpu
    "x86_64": {
        "x86_64": "x86_64",
        "x86_64_v3": "x86_64_v3",
        "x86_64_v4": "x86_64_v4",
        "x86_64_v4_bf16": "x86_64_v4+avx512bf16",
        "x86_64_v4_amx": "x86_64_v4+avx512bf16+amx_tile+amx_bf16",
    },
    "aarch64": {"aarch64": "generic"},
}
ONLY_ON_LINUX = {"x86_64_v4_amx"}  # see csrc/level.c
# A wheel's platform -> processor, zig's target, suffix of a library. An old glibc, so that it loads on every Linux.
PLATFORMS = {
    "manylinux_2_17_x86_64.manylinux2014_x86_64": ("x86_64", "x86_64-linux-gnu.2.17", ".so"),
    "manylinux_2_17_aarch64.manylinux2014_aarch64": ("aarch64", "aarch64-linux-gnu.2.17", ".so"),
    "musllinux_1_2_x86_64": ("x86_64", "x86_64-linux-musl", ".so"),
    "musllinux_1_2_aarch64": ("aarch64", "aarch64-linux-musl", ".so"),
    "macosx_11_0_x86_64": ("x86_64", "x86_64-macos.11.0", ".dylib"),
    "macosx_11_0_arm64": ("aarch64", "aarch64-macos.11.0", ".dylib"),
    "win_amd64": ("x86_64", "x86_64-windows-gnu", ".dll"),
    "win_arm64": ("aarch64", "aarch64-windows-gnu", ".dll"),
}
ASKED = os.environ.get("LAMNET_PLATFORM")
ONLY_HERE = os.environ.get("LAMNET_LEVELS") == "here"
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-mprefer-vector-width=512", "-fno-builtin-memcpy"]  # short copies are vector code, not calls
FLAGS += ["-fvisibility=hidden"]  # but for the entries: `gemm` is a name that another library may have too


class ZigBuild(build_ext):
    """Compiles each extension with `python -m ziglang cc`; they are plain libraries, loaded by ctypes."""

    def get_ext_filename(self, fullname: str) -> str:
        """Without Python's ABI, which a plain library has none of."""
        return fullname.replace(".", os.sep) + _target()[2]

    def build_extension(self, ext: Extension) -> None:
        machine, target, _ = _target()
        level = ext.name.rpartition("_native_")[2]
        output = Path(self.get_ext_fullpath(ext.name))
        if ONLY_HERE and level != machine and level != self._best(machine):
            output.unlink(missing_ok=True)
            return
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={LEVELS[machine][level]}"]
        if level in CC and find_spec("ziglang") is None:
            command = ["cc", *CC[level], "-Wno-psabi", "-pthread"]
        command += [*FLAGS, *([] if "windows" in target else ["-fPIC"])]
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

    def _best(self, machine: str) -> str:
        """The best level of this processor, as the plain library, which is built first, tells."""
        plain = ctypes.CDLL(self.get_ext_fullpath(f"lamnet.ops._native_{machine}"))
        return list(LEVELS[machine])[plain.lamnet_level()]


class Wheel(bdist_wheel):
    """A wheel for any Python: it holds plain libraries."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", ASKED or super().get_tag()[2]


def _target() -> tuple[str, str, str]:
    """Processor, zig's target and suffix of a library."""
    if ASKED:
        return PLATFORMS[ASKED]
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    libc = "gnu.2.17" if platform.libc_ver()[0] else "musl"
    system, suffix = {"linux": (f"linux-{libc}", ".so"), "darwin": ("macos.11.0", ".dylib")}.get(
        sys.platform, ("windows-gnu", ".dll")
    )
    return machine, f"{machine}-{system}", suffix


def _extensions() -> list[Extension]:
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    machine, target, _ = _target()
    levels = [level for level in LEVELS.get(machine, {}) if "linux" in target or level not in ONLY_ON_LINUX]
    return [Extension(f"lamnet.ops._native_{level}", sources, optional=not ASKED) for level in levels]


setup(ext_modules=_extensions(), cmdclass={"build_ext": ZigBuild, "bdist_wheel": Wheel})

"""Builds the C kernels, one library per level of instruction sets, with the compiler that comes as the wheel ziglang.

pip fetches it for the build, so nobody needs a compiler; where the build fails, the package installs without kernels.
"""

import platform
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCES = Path("src/lamnet/ops/csrc")
LEVELS = {  # name -> zig's -mcpu
    "x86_64": {
        "x86_64": "x86_64",
        "x86_64_v3": "x86_64_v3",
        "x86_64_v4": "x86_64_v4",
        "x86_64_v4_bf16": "x86_64_v4+avx512bf16",
    },
    "aarch64": {"aarch64": "generic"},
}
# An old glibc, so that the library loads on every Linux that PyTorch runs on.
# Not on Windows: its PyTorch has no GOMP_parallel to share threads with, and nobody has tried the kernels there.
SYSTEMS = {"linux": "linux-gnu.2.17", "darwin": "macos"}
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-mprefer-vector-width=512", "-fno-builtin-memcpy"]  # short copies are vector code, not calls
FLAGS += ["-fvisibility=hidden"]  # but for the entries: `gemm` is a name that another library may have too


class ZigBuild(build_ext):
    """Compiles each extension with `python -m ziglang cc`; they are plain libraries, loaded by ctypes."""

    def build_extension(self, ext: Extension) -> None:
        machine = _machine()
        level = ext.name.rpartition("_native_")[2]
        output = Path(self.get_ext_fullpath(ext.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        target = f"{machine}-{SYSTEMS[sys.platform]}"
        command = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={LEVELS[machine][level]}"]
        partial = output.with_name(f"partial{output.name}")  # whoever runs the library meanwhile keeps it whole
        command += [*FLAGS, "-shared", "-fPIC", "-s", "-o", str(partial), *ext.sources]
        if subprocess.run(command).returncode:
            raise CompileError(f"{ext.name}: {' '.join(command[:4])} failed")
        partial.replace(output)


def _machine() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _extensions() -> list[Extension]:
    sources = sorted(str(path) for path in SOURCES.glob("*.c"))
    levels = LEVELS.get(_machine(), {}) if sys.platform in SYSTEMS else {}
    return [Extension(f"lamnet.ops._native_{level}", sources, optional=True) for level in levels]


setup(ext_modules=_extensions(), cmdclass={"build_ext": ZigBuild})

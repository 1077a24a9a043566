"""What the C library is built for: levels of instruction sets, a library each, and platforms, a wheel each.

setup.py and tools/make_wheels.py run this file by its path, before there is a package, so it imports nothing of it.
ops/csrc/README.md has the steps to another level or another family of processors.
"""

from __future__ import annotations

from typing import NamedTuple

SAME = {
    "amd64": "x86_64",
    "arm64": "aarch64",
}  # what some systems call a family of processors -> what it is called here


class Level(NamedTuple):
    """The options that its library is compiled with."""

    zig: tuple[str, ...]  # of `zig cc`
    cc: tuple[str, ...] = ()  # of GCC 11 or Clang 12 at least, for `make demo`, which does without zig


# Family -> its levels, in the order in which lamnet_level of csrc/level.c counts them. Every processor of it runs the first.
LEVELS = {
    "x86_64": {
        "x86_64": Level(("-mcpu=x86_64",), ("-march=x86-64",)),
        "x86_64_v3": Level(("-mcpu=x86_64_v3",), ("-march=x86-64-v3",)),
        "x86_64_v4": Level(("-mcpu=x86_64_v4",), ("-march=x86-64-v4",)),
        "x86_64_v4_bf16": Level(("-mcpu=x86_64_v4+avx512bf16",), ("-march=x86-64-v4", "-mavx512bf16")),
        "x86_64_v4_amx": Level(
            ("-mcpu=x86_64_v4+avx512bf16+amx_tile+amx_bf16",),
            ("-march=x86-64-v4", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"),
        ),
    },
    "aarch64": {"aarch64": Level(("-mcpu=generic",))},
}
# Levels of which the core alone makes use: PyTorch's own code is better than the operators there. And what they lack.
CORE_ALONE = {"x86_64": "AVX2"}
ONLY_ON_LINUX = {"x86_64_v4_amx"}  # see csrc/level.c


class Platform(NamedTuple):
    """What zig compiles the libraries of a wheel for."""

    family: str
    target: str
    suffix: str  # of a library's name


# A wheel's tag -> what is in it. An old glibc, the one that the tag names, so that it loads on every Linux.
PLATFORMS = {
    "manylinux_2_17_x86_64.manylinux2014_x86_64": Platform("x86_64", "x86_64-linux-gnu.2.17", ".so"),
    "manylinux_2_17_aarch64.manylinux2014_aarch64": Platform("aarch64", "aarch64-linux-gnu.2.17", ".so"),
    "musllinux_1_2_x86_64": Platform("x86_64", "x86_64-linux-musl", ".so"),
    "musllinux_1_2_aarch64": Platform("aarch64", "aarch64-linux-musl", ".so"),
    "macosx_11_0_x86_64": Platform("x86_64", "x86_64-macos.11.0", ".dylib"),
    "macosx_11_0_arm64": Platform("aarch64", "aarch64-macos.11.0", ".dylib"),
    "win_amd64": Platform("x86_64", "x86_64-windows-gnu", ".dll"),
    "win_arm64": Platform("aarch64", "aarch64-windows-gnu", ".dll"),
}


def family_of(machine: str) -> str:
    """Name the family of a processor as `platform.machine()` calls it."""
    return SAME.get(machine.lower(), machine.lower())


def levels_of(platform: Platform) -> list[str]:
    """Name the levels that there are for a platform."""
    return [level for level in LEVELS[platform.family] if "linux" in platform.target or level not in ONLY_ON_LINUX]

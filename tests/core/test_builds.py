"""What the library is built for, as setup.py, the package and the tools for wheels read it."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

import pytest

import check_wheels
from lamnet.core import library
from lamnet.core.builds import CORE_ALONE, LEVELS, ONLY_ON_LINUX, PLATFORMS, SAME, levels_of
from lamnet.ops import native

SOURCES = Path(__file__).parents[2] / "src/lamnet/ops/csrc"


def test_levels_are_named_once_and_after_their_family() -> None:
    names = [level for levels in LEVELS.values() for level in levels]
    assert len(names) == len(set(names))
    assert all(next(iter(levels)) == family for family, levels in LEVELS.items()), (
        "the plain one, which all run, is first"
    )
    assert set(names) >= ONLY_ON_LINUX
    assert set(names) >= set(CORE_ALONE)


@pytest.mark.skipif(not SOURCES.exists(), reason="without the library's sources")
def test_level_c_counts_as_many_levels() -> None:
    [counted] = re.findall(r"enum \{ PLAIN, ([\w, ]+) \};", (SOURCES / "level.c").read_text())
    assert len(counted.split(", ")) + 1 == len(LEVELS["x86_64"])


def test_every_family_has_wheels_and_every_wheel_a_family() -> None:
    assert {platform.family for platform in PLATFORMS.values()} == set(LEVELS) >= set(SAME.values())
    for tag, platform in PLATFORMS.items():
        system, processor = check_wheels.platform_of(tag)
        assert (system.replace("musl", "many"), processor) in check_wheels.MACHINES, "see tools/check_wheels.py"
        if system == "manylinux":
            assert platform.target.endswith("-gnu." + ".".join(tag.split("_")[1:3])), "the glibc that the tag names"


def test_a_processor_runs_the_levels_of_its_family(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        def lamnet_level(self) -> int:
            return self.level

        level = 0

    monkeypatch.setattr(library, "_built", Path)
    monkeypatch.setattr(library, "_open", lambda path: Plain())
    for machine, levels in [("AMD64", ("x86_64",)), ("arm64", ("aarch64",)), ("other", ("other",))]:
        monkeypatch.setattr(library.platform, "machine", lambda machine=machine: machine)
        assert library.levels() == levels
    monkeypatch.setattr(library.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(Plain, "level", 2)
    first, second, third, *_ = LEVELS["x86_64"]
    assert library.levels() == (third, second, first)


def test_the_plain_level_of_arm_runs_the_operators_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAMNET_KERNELS", raising=False)
    monkeypatch.setattr(native, "built", Path)
    monkeypatch.setattr(native, "levels", lambda: ("aarch64",))
    assert native._path() == Path("aarch64")


@pytest.mark.parametrize("libraries", [["x86_64"], [*LEVELS["x86_64"], "another"]])
def test_a_wheel_with_other_libraries_is_refused(libraries: list[str], tmp_path: Path) -> None:
    wheel = tmp_path / "lamnet-1-py3-none-musllinux_1_2_x86_64.whl"
    elf = b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little")
    with ZipFile(wheel, "w") as file:
        for level in libraries:
            file.writestr(f"lamnet/ops/_native_{level}.so", elf)
        file.writestr("lamnet-1.dist-info/WHEEL", "Root-Is-Purelib: false\nTag: py3-none-any\n")
    expected = sorted(f"_native_{level}" for level in LEVELS["x86_64"])
    assert (
        f"expected {expected}, found {sorted(f'_native_{level}' for level in libraries)}"
        in check_wheels.contents_faults(wheel)
    )


def test_levels_that_a_platform_has() -> None:
    assert levels_of(PLATFORMS["musllinux_1_2_x86_64"]) == list(LEVELS["x86_64"])
    assert levels_of(PLATFORMS["win_amd64"]) == [level for level in LEVELS["x86_64"] if level != "x86_64_v4_amx"]
    assert levels_of(PLATFORMS["macosx_11_0_arm64"]) == list(LEVELS["aarch64"])

"""Check the wheels in dist/: what they hold, and golden cases on all of them that run here.

    python tools/check_wheels.py

Builds tools/check_library.c for each platform with ziglang. Programs of other platforms run here where there are musl,
qemu and wine: `apt-get install musl qemu-user-static libc6-arm64-cross wine64`. QEMU_LD_PREFIX names another folder with
the C libraries for ARM than that of Debian's package; musl's is in none. The library for AMX runs on a processor without it
by tools/emulate_amx.c.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import golden
from lamnet.core.builds import PLATFORMS, levels_of

ROOT = Path(__file__).parents[1]
MOST_MB = 15
MACHINES = {  # of a library: its first bytes, where the number of the processor stands, and the number
    ("manylinux", "x86_64"): (b"\x7fELF", 18, 62),
    ("manylinux", "aarch64"): (b"\x7fELF", 18, 183),
    ("macosx", "x86_64"): (b"\xcf\xfa\xed\xfe", 4, 7),
    ("macosx", "arm64"): (b"\xcf\xfa\xed\xfe", 4, 12),
    ("win", "amd64"): (b"MZ", 0, 0x8664),
    ("win", "arm64"): (b"MZ", 0, 0xAA64),
}
LOADERS = {  # of programs for the platforms that may run here: the file that loads them
    "manylinux_x86_64": "/lib64/ld-linux-x86-64.so.2",
    "manylinux_aarch64": "lib/ld-linux-aarch64.so.1",
    "musllinux_x86_64": "/lib/ld-musl-x86_64.so.1",
    "musllinux_aarch64": "lib/ld-musl-aarch64.so.1",
    "win_amd64": None,  # wine
}
EMULATED = Path(
    os.environ.get("QEMU_LD_PREFIX", "/usr/aarch64-linux-gnu")
)  # where programs for ARM find their libraries
SYSTEM_DLLS = re.compile(rb"(?i)kernel32|ucrtbase|ntdll|api-ms-win-crt-[a-z0-9-]+")


def main() -> None:
    """Check each wheel and print a line for it; exit code 1 where one is not as it should be."""
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = [Path(folder) / case for case in golden.CASES]
        for case, path in zip(golden.CASES, cases, strict=True):
            path.write_bytes(golden.packed(case, golden.results()[case]))
        for wheel in wheels:
            faults = [*contents_faults(wheel), *run_faults(wheel, cases, Path(folder))]
            bad += bool([fault for fault in faults if not fault.startswith("not run")])
            print(f"{wheel.stat().st_size / 1e6:5.1f} MB  {wheel.name}: {'; '.join(faults) or 'golden'}", flush=True)
    sys.exit(f"{bad} of {len(wheels)} wheels" if bad or not wheels else 0)


def tag_of(wheel: Path) -> str:
    """The platform in a wheel's name."""
    return wheel.stem.split("-")[-1]


def platform_of(tag: str) -> tuple[str, str]:
    """System and processor of a tag: ("manylinux", "x86_64")."""
    system, processor = re.fullmatch(r"(manylinux|musllinux|macosx|win)_(?:\d+_\d+_)?(\w+)", tag.split(".")[0]).groups()
    return system, processor


BUILT = {"_".join(platform_of(tag)): platform for tag, platform in PLATFORMS.items()}


def contents_faults(wheel: Path) -> list[str]:
    """What is wrong with a wheel's files."""
    tag, faults = tag_of(wheel), []
    with ZipFile(wheel) as file:
        names = file.namelist()
        libraries = [name for name in names if "/_native_" in name]
        for name in libraries:
            faults += [f"{Path(name).name}: {fault}" for fault in library_faults(file.read(name), tag)]
        (metadata,) = (file.read(name).decode() for name in names if name.endswith(".dist-info/WHEEL"))
    expected = sorted(f"_native_{level}" for level in levels_of(BUILT["_".join(platform_of(tag))]))
    if (found := sorted(Path(name).stem for name in libraries)) != expected:
        faults.append(f"expected {expected}, found {found}")
    tags = set(re.findall(r"^Tag: (.+)$", metadata, re.MULTILINE))
    if any(not one.startswith("py3-none-") for one in tags) or "Root-Is-Purelib: false" not in metadata:
        faults.append(f"expected a plain library for any Python 3, found {tags}")
    for ending in ("licenses/LICENSE", ".safetensors", "py.typed"):
        if not any(name.endswith(ending) for name in names):
            faults.append(f"expected {ending}, found none")
    if wheel.stat().st_size > MOST_MB * 1e6:
        faults.append(f"expected at most {MOST_MB} MB")
    return faults


def library_faults(data: bytes, tag: str) -> list[str]:
    """What is wrong with a library: another format, another processor, or more than an old system has."""
    system, processor = platform_of(tag)
    magic, place, number = MACHINES[system.replace("musl", "many"), processor]
    if magic == b"MZ":  # the header of today stands behind that of DOS
        place = int.from_bytes(data[60:64], "little") + 4
    if not data.startswith(magic) or int.from_bytes(data[place : place + 2], "little") != number:
        return [f"expected a library for {system} on {processor}"]
    faults = []
    newest = max(map(int, re.findall(rb"GLIBC_2\.(\d+)", data)), default=0)
    if system == "manylinux" and newest > (oldest := int(tag.split("_")[2])):
        faults.append(f"expected glibc 2.{oldest} to do, found 2.{newest}")
    if system == "musllinux" and b"GLIBC_" in data:
        faults.append("expected no glibc")
    if system == "win":
        foreign = [name for name in re.findall(rb"(?i)([\w-]+)\.dll", data) if not SYSTEM_DLLS.fullmatch(name)]
        faults += [f"expected libraries of Windows, found {set(foreign)}"] if set(foreign) - {own_name(data)} else []
    if (system, processor) == ("macosx", "arm64") and not is_signed(data):
        faults.append("expected a signature, which macOS on ARM asks of every library")
    return faults


def own_name(data: bytes) -> bytes:
    """The name that a library for Windows has in its table of exports."""
    found = re.search(rb"(partial_native_\w+)\.dll", data)
    return found[1] if found else b""


def is_signed(data: bytes) -> bool:
    """Whether a library for macOS has a command LC_CODE_SIGNATURE."""
    count, place = int.from_bytes(data[16:20], "little"), 32
    for _ in range(count):
        command, size = (int.from_bytes(data[place + at : place + at + 4], "little") for at in (0, 4))
        if command == 0x1D:
            return True
        place += size
    return False


def runner(platform: str) -> list[str] | None:
    """The words before a program of another platform; None where it does not run here."""
    loader = LOADERS[platform]
    if platform == "win_amd64":
        wine = shutil.which("wine64") or next(
            (str(path) for path in [Path("/usr/lib/wine/wine64")] if path.exists()), None
        )
        return [wine] if wine else None
    if platform.endswith("aarch64"):
        qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
        return [qemu, "-L", str(EMULATED)] if qemu and (EMULATED / str(loader)).exists() else None
    return [] if Path(str(loader)).exists() else None


def compiled(to: Path, platform: str, *words: str | Path) -> Path:
    """Compile C for a platform of BUILT with ziglang."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", BUILT[platform].target, "-o", str(to)]
    subprocess.run([*command, *map(str, words)], check=True)
    return to


def emulator(to: Path, platform: str) -> Path:
    """Compile what LD_PRELOAD takes to run the library for AMX where the processor has AVX-512 alone."""
    return compiled(to, platform, "-mcpu=x86_64_v4", "-O2", "-fPIC", "-shared", ROOT / "tools/emulate_amx.c")


def run_faults(wheel: Path, cases: list[Path], folder: Path) -> list[str]:
    """What golden cases find in a wheel's libraries, or why they do not run here."""
    platform = "_".join(platform_of(tag_of(wheel)))
    if platform not in LOADERS:
        return ["not run: nothing here runs it"]
    before = runner(platform)
    if before is None:
        return ["not run: see the head of this tool for what is missing"]
    program = compiled(folder / f"check_{platform}.exe", platform, ROOT / "tools/check_library.c", "-O1", "-dynamic")
    faults = []
    with ZipFile(wheel) as file:
        for name in [name for name in file.namelist() if "/_native_" in name]:
            library = file.extract(name, folder / platform)
            words = [*before, str(program), library, *map(str, cases)]
            environment = {**os.environ, "WINEDEBUG": "-all"}
            if "_amx." in name:
                environment["LD_PRELOAD"] = str(emulator(folder / f"amx_{platform}.so", platform))
            done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                faults.append(f"{Path(name).name}: {done.stdout.strip() or done.stderr.strip()[-200:]}")
    return faults


if __name__ == "__main__":
    main()

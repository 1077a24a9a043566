"""Make wheels for all platforms on this machine: `python tools/make_wheels.py [PLATFORM...]` writes them to dist/.

Needs setuptools and ziglang in its environment (`make wheels` puts them there).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from runpy import run_path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
BUILDS = run_path(str(ROOT / "src/lamnet/core/builds.py"))
PLATFORMS = BUILDS["PLATFORMS"]
MOST_MB = 15


def main() -> None:
    """Make each wheel, and refuse one that lacks a library or is too large."""
    for platform in sys.argv[1:] or PLATFORMS:
        wheel = built(platform)
        names = ZipFile(wheel).namelist()
        libraries = sorted(Path(name).stem for name in names if "_native_" in name)
        expected = sorted(f"_native_{level}" for level in BUILDS["levels_of"](PLATFORMS[platform]))
        size = wheel.stat().st_size / 1e6
        print(f"{wheel.name:80} {size:5.1f} MB, {len(libraries)} libraries", flush=True)
        if libraries != expected:
            sys.exit(f"{wheel.name}: expected {expected}, found {libraries}")
        if size > MOST_MB:
            sys.exit(f"{wheel.name}: expected at most {MOST_MB} MB, found {size:.1f}")


def built(platform: str) -> Path:
    """Build the wheel of a platform from a copy of the tracked files, so that no earlier build gets into it."""
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        archive = subprocess.run(
            ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=tracked, capture_output=True, check=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(DIST)]
        subprocess.run([*command, folder], env={**os.environ, "LAMNET_PLATFORM": platform}, check=True)
    return max(DIST.glob(f"*-py3-none-{platform}.whl"), key=lambda path: path.stat().st_mtime)


main()

"""Make the page: `python tools/make_web.py [FOLDER]` puts all that a static host serves into FOLDER, build/web if left out.

Needs lamnet and ziglang in its environment (`make web` puts them there).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import asdict
from pathlib import Path

from lamnet.core import parameters, shipped, weights
from lamnet.core.shipped import Shipped
from lamnet.server.terms import terms

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src/lamnet/server/page"  # that of lamnet app, whose engine asks a server
WEB = ROOT / "web"  # the engine that works in the browser, and what it needs
KERNELS = ROOT / "src/lamnet/ops/csrc"
SOURCES = [
    "network",
    "network_run",
    "ends",
    "branches",
    "focal",
    "attention",
    "exchange",
    "feed_forward",
    "gemm",
    "arena",
    "threads",
]
LAYERS = ["page_shallow", "page_block_means", "page_block", "page_end_group", "page_reconstruct"]
ENTRIES = ["page_set_threads", "page_allocate", "page_free", "page_create", "page_destroy", "page_run", *LAYERS]
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
FLAGS += ["-D_Float16=float"]  # which this processor has not, and no network of the core is stored in
BUILDS = {  # one worker, and several over one memory; which takes the most that 32 bits reach
    "core": ("generic+simd128", []),
    "core-threads": (
        "generic+simd128+atomics+bulk_memory",
        ["--shared-memory", "--import-memory", "--max-memory=4294901760", "--export=__stack_pointer", "--export-table"],
    ),
}
ASSETS = ("*.js", "*.webmanifest")
FIRST = [
    "index.html",
    "style.css",
    "app.js",
    "engine.js",
    "files.js",
    "held.js",
    "list.js",
    "result.js",
    "settings.js",
    "view.js",
    "words.js",
    "icon.svg",
]
FIRST += ["manifest.webmanifest"]  # and sw.js
NOT_HERE = ("engine.js", "whole.js")  # of lamnet app
SIZES = ("tiny", "base")
FIRST_KB, ALL_MB = 100, 3  # before a picture is chosen; with the weights of tiny


def main() -> None:
    """Make the page anew, and refuse one that has grown too large."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/web"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "web"
        make(made)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    first, tiny = sizes(target)
    print(f"{target}: {first / 1e3:.0f} kB before a picture, {tiny / 1e6:.2f} MB with the weights of tiny")
    if first > FIRST_KB * 1e3 or tiny > ALL_MB * 1e6:
        sys.exit(f"{target}: expected at most {FIRST_KB} kB and {ALL_MB} MB")


def make(target: Path) -> None:
    """Put page, module, weights and licences into a folder that does not exist."""
    shutil.copytree(PAGE, target, ignore=shutil.ignore_patterns(*NOT_HERE))
    for pattern in ASSETS:
        for path in WEB.glob(pattern):
            shutil.copy(path, target)
    for name, (processor, options) in BUILDS.items():
        compile_core(target / f"{name}.wasm", processor, options)
    networks = [write_weights(one, target) for one in shipped.shipped() if one.size in SIZES]
    (target / "networks.json").write_text(json.dumps(networks))
    shutil.copy(ROOT / "LICENSE", target / "LICENSE.txt")
    (target / "WEIGHTS.txt").write_text(terms())
    finish_service_worker(target)


def finish_service_worker(target: Path) -> None:
    """Tell it what to keep at once and what with the first picture, and a version that changes with any file."""
    files = [path for path in sorted(target.rglob("*")) if path.is_file()]
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    later = [
        path.name for path in files if path.suffix in (".js", ".json", ".txt") and path.name not in [*FIRST, "sw.js"]
    ]
    text = (target / "sw.js").read_text().replace('"VERSION"', f'"{stamp}"')
    text = text.replace('["FIRST"]', json.dumps(FIRST)).replace('["LATER"]', json.dumps(later))
    (target / "sw.js").write_text(text)


def compile_core(path: Path, processor: str, options: list[str]) -> None:
    """Build the kernels that a network runs on, without their backwards."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi-musl", f"-mcpu={processor}"]
    command += [*FLAGS, "-mexec-model=reactor", f"-I{WEB / 'wasm'}", f"-I{KERNELS}", "-s", "-o", str(path)]
    command += [
        "-Wl,-z,stack-size=1048576",
        "-ffunction-sections",
        "-Wl,--gc-sections",
        *(f"-Wl,--export={name}" for name in ENTRIES),
    ]
    command += [*(f"-Wl,{option}" for option in options), *(str(KERNELS / f"{name}.c") for name in SOURCES)]
    subprocess.run([*command, str(WEB / "wasm/page.c")], check=True)


def write_weights(one: Shipped, target: Path) -> dict[str, object]:
    """Write weights as the core reads them, packed, and say what the page has to know of them."""
    contents = weights.read(one.path)
    numbers = parameters.flattened(contents.config, contents.state).astype("<f4").tobytes()
    name = f"weights/{one.size}/{one.path.stem}.bin"
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    (target / name).write_bytes(zlib.compress(numbers, 9))
    entry = {"size": one.size, "variant": one.variant, "file": name}
    return entry | asdict(contents.config) | {"hidden": contents.config.hidden}


def sizes(folder: Path) -> tuple[int, int]:
    """Bytes of what is loaded before a picture is chosen, and of all files with the weights of tiny."""
    files = [path for path in folder.iterdir() if path.is_file()]
    tiny = (folder / "weights/tiny").iterdir()
    first = sum(path.stat().st_size for path in files if path.name in [*FIRST, "sw.js"])
    return first, sum(path.stat().st_size for path in (*files, *tiny))


if __name__ == "__main__":
    main()

"""Every command and snippet that README, RESULTS.md and the site's pages show runs, page by page, as a reader would run them."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamnet.cli.main import app
from support.documents import ROOT, Snippet, inputs, pages, snippets

# What stands for something of the reader's, or would take hours: a pattern, and what it is here.
STANDS_FOR = {
    r"\bPHOTOS\b": "photos",
    r"\bHR_FOLDER\b|\bDIV2K_train_HR\b": "photos",
    r"\bLR_FOLDER\b": "lr",
    r"\bBENCHMARKS\b": "benchmarks",
    r"--(budget|cooldown) \d+[hm]\b": r"--\1 2s",
    r"budget_s = 5400": "budget_s = 2",
    r"--to 3840x2160": "--to 160x120",
    r"--to 1920x": "--to 128x",
    r"--to (\S+)1080\b": r"--to \g<1>96",
    r"\blamnet bench base\b": "lamnet bench tiny",
    r"\blamnet bench\b(?!.*--no-memory)": "lamnet bench --no-memory",
    r"\blamnet bench\b": "lamnet bench --output 64 48 --rounds 1",
    r"--device cuda": "--device cpu",
    # Eight GPUs, two machines: one process, and a step instead of days. tests/training/test_distributed.py has torchrun.
    r"^torchrun .* -m lamnet train": "lamnet train --steps 1 --batch 1 --patch 8",
}

# Commands that do not run, by what is in them, and why.
NOT_RUN = {
    "make demo": "it makes an environment; tests/cli/test_demo.py has `lamnet demo`",
    "make test": "it runs this test",
    "pip install": "it changes the environment; the CI file's job `minimal` installs and upscales",
    "RAY_ADDRESS=": "it needs a cluster; tests/batch/test_cluster.py starts one",
    "s3://": "it needs a bucket; tests/batch/test_buckets.py has one in memory",
    "002.pth": "another network's published file; tests/integrations and tests/evaluation load such networks",
    "swinir": "as above",
    "make web": "it installs the compiler; tests/web makes the page and runs all of it, web/time.mjs too",
    "http.server": "it serves until it is ended; tests/web serves the page with it",
    "lamnet app": "it serves until it is ended; tests/cli/test_app.py and tests/server run it",
    "sys.argv[1:]": "a program with arguments; tests/server/test_documentation.py runs it",
    "make gpu": "it takes minutes; tests/tools/test_gpu_calls.py goes through it in small",
}

# What runs where a package is installed that the test extra leaves out.
NEEDS = {"--engine ray": "ray", "lamnet_spandrel": "spandrel"}

SLOW = {"RESULTS.md", "evaluation.md", "speed.md", "training.md", "recipes.md", "reproducing.md", "figures.md"}
# What needs photographs that hold a patch of training, or a crop of a figure.
LARGE, ON_LARGE = (264, 264), {"training.md", "recipes.md", "reproducing.md", "figures.md", "gpu.md"}


def _marked(page: Path) -> Any:
    mark = pytest.mark.slow if page.name in SLOW else pytest.mark.thorough
    return pytest.param(page, marks=mark, id=page.name)


@pytest.mark.parametrize("page", [*map(_marked, pages())])
def test_every_command_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs(tmp_path, *([LARGE] if page.name in ON_LARGE else []))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names: dict[str, Any] = {"array": np.zeros((24, 32, 3), np.uint8)}
    for snippet in snippets(page):
        if snippet.language == "sh":
            _run_commands(snippet)
        elif snippet.language == "toml":
            _write_recipe(snippet)
        elif snippet.language == "python":
            _run_python(snippet, names)


def test_commands_in_sentences_and_those_that_do_not_run_are_understood() -> None:
    found = [command for page in pages() for command in _unrun(page)]
    for command in found:
        app.parse_args(command, exit_on_error=False, print_error=False)
    assert len(found) > 5


def test_a_language_is_one_that_is_run_or_read() -> None:
    languages = {snippet.language for page in pages() for snippet in snippets(page)}
    assert languages <= {"sh", "toml", "python", "bibtex", "http"}


def test_what_stands_for_something_or_does_not_run_is_shown_somewhere() -> None:
    shown = "\n".join(snippet.text for page in pages() for snippet in snippets(page))
    assert [pattern for pattern in STANDS_FOR if not re.search(pattern, shown, re.MULTILINE)] == []
    assert [part for part in (*NOT_RUN, *NEEDS) if part not in shown] == []


def _unrun(page: Path) -> Iterator[list[str]]:
    """The arguments of commands of ours that no test of a page runs."""
    text = page.read_text(encoding="utf-8")
    fenced = "".join(snippet.text for snippet in snippets(page) if snippet.language == "sh")
    for command in re.findall(r"`(lamnet \w[^`]* [^`]+)`", text) + re.findall(
        r"lamnet upscale .*(?:s3:|--engine).*", fenced
    ):
        arguments = shlex.split(_here(" ".join(command.split())))[1:]
        if not arguments[1].startswith("--"):  # which names an option
            yield arguments


def _run_commands(snippet: Snippet) -> None:
    lines = [line for line in snippet.text.splitlines() if not _is_left_out(line)]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _here("\n".join(lines))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{snippet.page.name}:{snippet.line}: {done.stderr[-2000:]}"


def _write_recipe(snippet: Snippet) -> None:
    name = re.match(r"# (\w+\.toml)", snippet.text)
    assert name, f"{snippet.page.name}:{snippet.line}: expected a first line with the file's name"
    tomllib.loads(snippet.text)
    Path(name[1]).write_text(_here(snippet.text), encoding="utf-8")


def _run_python(snippet: Snippet, names: dict[str, Any]) -> None:
    if _is_left_out(snippet.text):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile("\n" * snippet.line + snippet.text, str(snippet.page), "exec"), names)


def _is_left_out(text: str) -> bool:
    missing = any(part in text and importlib.util.find_spec(package) is None for part, package in NEEDS.items())
    return missing or any(part in text for part in NOT_RUN)


def _here(text: str) -> str:
    for pattern, replacement in STANDS_FOR.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def test_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 60

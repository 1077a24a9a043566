"""Names of results: none is lost because two pictures would have one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lamnet.base.errors import BadArgumentError
from lamnet.batch import finding, jobs
from lamnet.batch.left_out import LeftOut
from lamnet.media import arrays
from support.commands import Command


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files with the names of pictures; what is in them does not matter here."""
    for name in ("a.png", "a.gif", "a.bmp", "one/x.png", "two/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def results(inputs: list[Path | str], out: Path | None, suffix: str = ".png") -> list[str]:
    found = finding.find([str(name) for name in inputs], out, "_x4")
    return [f"{job.source.name} -> {job.result(suffix)}" for job in found if job.problem is None]


def test_a_changed_suffix_does_not_make_two_results_one(tree: Path) -> None:
    assert results([tree], Path("out"))[:3] == [
        "a.bmp -> out/a_x4.bmp.png",
        "a.gif -> out/a_x4.gif.png",
        "a.png -> out/a_x4.png",
    ]
    assert results([tree / "a.gif"], None) == [f"a.gif -> {tree / 'a_x4.png'}"]
    assert results([tree / "a.gif", tree / "a.png"], Path("out"))[0] == "a.gif -> out/a_x4.gif.png"


def test_results_of_earlier_calls_are_no_sources(tree: Path) -> None:
    for name in ("a_x4.png", "a_x4.gif.png", "a_x2.5.png", "a_1920x1080.png", "a_x70.webp"):
        (tree / name).touch()
    (tree / "b_x4.png").touch()  # of nothing here
    assert [job.source.name for job in finding.find([str(tree)], None, "_x4")][:4] == [
        "a.bmp",
        "a.gif",
        "a.png",
        "b_x4.png",
    ]
    assert len(list(finding.find([str(tree)], tree, "_x4"))) == 6
    left_out = LeftOut()
    list(finding.find([str(tree)], None, "_x4", left_out))
    assert [line for line in left_out.lines() if "result" in line] == [
        "left out what by its name is the result of a picture beside it: 5 (a_1920x1080.png, a_x2.5.png, a_x4.gif.png, "
        "...); --out with another folder takes all"
    ]
    assert len(list(finding.find([str(tree)], tree / "out", "_x4"))) == 11


def test_what_a_pattern_finds_is_mirrored(tree: Path) -> None:
    assert results([str(tree / "*" / "x.png")], Path("out")) == [
        "x.png -> out/one/x_x4.png",
        "x.png -> out/two/x_x4.png",
    ]


def test_patterns_find_no_results_of_earlier_calls(tree: Path) -> None:
    for name in ("a_x4.png", "a1/y.png", "out/a_x4.png", "out/one/x_x4.png"):
        (tree / name).parent.mkdir(exist_ok=True, parents=True)
        (tree / name).touch()
    everywhere = str(tree / "**" / "*.png")
    assert results([str(tree / "*.png")], None) == [f"a.png -> {tree / 'a_x4.png'}"]
    assert results([everywhere], tree / "out") == [
        f"{name}.png -> {tree}/out/{place}{name}_x4.png"
        for place, name in (("", "a"), ("", "a_x4"), ("a1/", "y"), ("one/", "x"), ("two/", "x"))
    ]
    assert results([str(tree / "a_x4.*")], None) == [f"a_x4.png -> {tree / 'a_x4_x4.png'}"]  # asked for


def test_a_result_does_not_take_the_place_of_a_source(tree: Path) -> None:
    (tree / "a_x4.png").touch()
    first, second = finding.find([str(tree / "a.png"), str(tree / "a_x4.png")], None, "_x4")
    assert first.problem
    assert first.problem.endswith(f"no other picture has, found {tree / 'a_x4.png'}")
    assert second.problem is None


def test_a_result_of_another_kind_than_its_source_does_not_either(upscale: Command, tmp_path: Path) -> None:
    Image.new("P", (8, 6)).save(tmp_path / "a.bmp")
    arrays.write_array(tmp_path / "a_x4.png", np.full((6, 8, 3), 99, np.uint8))
    arrays.write_array(tmp_path / "c.png", np.full((6, 8, 3), 9, np.uint8))
    arrays.write_array(tmp_path / "c_x4.jpg", np.full((6, 8, 3), 99, np.uint8))
    for names, taken in (
        (("a.bmp", "a_x4.png"), ("a_x4.png",)),
        (("c.png", "c_x4.jpg", "--format", "jpg"), ("c_x4.jpg",)),
    ):
        before = (tmp_path / taken[0]).read_bytes()
        words = [tmp_path / name if (tmp_path / name).exists() else name for name in names]
        for more in ("--dry-run", "--overwrite"):
            done = upscale(*words, more)
            assert done.code == 1
            expected = f"{tmp_path / names[0]}: expected a name for the result that no other picture has, found {tmp_path / taken[0]}"
            assert any(expected in line for line in done.err)
        assert (tmp_path / taken[0]).read_bytes() == before


def test_the_empty_present_folder_among_others_is_a_job_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "b.png").touch()
    monkeypatch.chdir(tmp_path / "empty")
    here, other = finding.find([".", "../b.png"], None, "_x4")
    assert (here.source, here.problem) == (Path(), "expected pictures or videos there, found none")
    assert other.problem is None


def test_what_an_empty_folder_holds_is_told_of_it_alone(tmp_path: Path) -> None:
    for name in ("A/p.png", "A/notes.txt", "B/b.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    left_out = LeftOut()
    found = [*finding.find([str(tmp_path / "A"), str(tmp_path / "B")], tmp_path / "out", "_x4", left_out)]
    assert [job.problem for job in found] == [None, "expected pictures or videos there, found 1 .pdf (b.pdf)"]
    assert str(left_out.others) == "1 .txt (notes.txt)"


def test_a_source_whose_result_is_anothers_is_told_so(tree: Path) -> None:
    first, second = finding.find([str(tree / "one" / "x.png"), str(tree / "two" / "x.png")], Path("out"), "_x4")
    assert (first.problem, second.problem) == (
        None,
        f"expected another name than that of {tree / 'one' / 'x.png'}, or another folder",
    )


def test_a_source_named_twice_is_done_once(tree: Path) -> None:
    assert len(results([tree / "a.png", tree / "a.png"], None)) == 1
    assert len(results([tree, tree / "a.png"], None)) == 5


def test_an_empty_name_is_not_the_present_folder() -> None:
    with pytest.raises(BadArgumentError, match="empty"):
        finding.find([""], None, "_x4")


def test_a_slash_makes_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (job,) = finding.find([str(tmp_path / "a.png")], f"{tmp_path}/v1.5/", "_x2")
    assert job.result(".png") == tmp_path / "v1.5" / "a_x2.png"


def test_a_name_that_the_system_refuses_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    names = [job.source.name for job in finding.find(["q" * 300 + ".png", str(tmp_path / "a.png")], tmp_path, "_x2")]
    assert names == ["q" * 300 + ".png", "a.png"]


def test_a_folder_that_cannot_be_read_is_a_job_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    scandir = os.scandir

    def refusing(path: str) -> object:  # whoever runs the tests may be allowed everything
        if Path(path).name == "shut":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    good, bad = finding.find([str(tmp_path)], None, "_x2")
    assert good.source == tmp_path / "open" / "a.png"
    assert (bad.source, bad.problem) == (tmp_path / "shut", "cannot be read: Permission denied")


def found_by(*arguments: Any) -> list[jobs.Job]:
    return list(finding.find(*arguments))


def test_names_of_results(tmp_path: Path) -> None:
    found = found_by([str(tmp_path / "a.b.png"), str(tmp_path / "b.jpg")], None, "_x3")
    assert [job.target.name for job in found] == ["a.b_x3", "b_x3"]
    [job] = found_by([str(tmp_path / "a.png")], tmp_path / "deep", "_x2")
    assert job.target == tmp_path / "deep" / "a_x2"
    [job] = found_by([str(tmp_path / "a.png")], tmp_path / "b.tif", "_x2")
    assert (job.target, job.needs_suffix) == (tmp_path / "b.tif", False)
    with pytest.raises(BadArgumentError, match="folder"):
        found_by(["a.png", "b.png"], tmp_path / "b.tif", "_x2")


@pytest.fixture
def deep_tree(tmp_path: Path) -> Path:
    """Pictures at two depths, a loop of links, a hidden folder, and results of an earlier call."""
    for name in ("a.png", "a_x4.png", "sub/b.jpg", "sub/.cache/c.png", "out/a_x4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        arrays.write_array(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "broken.png")
    return tmp_path


def test_folders_are_searched_below_and_mirrored(deep_tree: Path) -> None:
    found = found_by([str(deep_tree)], deep_tree / "out", "_x4")
    assert [job.source.relative_to(deep_tree) for job in found] == [Path("a.png"), Path("a_x4.png"), Path("sub/b.jpg")]
    assert [job.target.relative_to(deep_tree) for job in found] == [
        Path("out/a_x4"),
        Path("out/a_x4_x4"),
        Path("out/sub/b_x4"),
    ]


def test_results_beside_their_sources_are_no_sources(deep_tree: Path) -> None:
    found = found_by([str(deep_tree)], None, "_x4")
    assert [str(job.source.relative_to(deep_tree)) for job in found] == ["a.png", "out/a_x4.png", "sub/b.jpg"]


def test_patterns(deep_tree: Path) -> None:
    found = found_by([str(deep_tree / "**" / "?.*g")], deep_tree / "flat", "_x4")
    assert [job.source.name for job in found] == ["a.png", "b.jpg"]
    assert all(job.found for job in found)

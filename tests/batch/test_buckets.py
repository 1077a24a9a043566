"""Buckets, by the addresses of local folders: the same code as for s3:// and gs://."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base import progress
from lamnet.base.errors import BadArgumentError, BadImageError, MissingExtraError
from lamnet.batch import buckets
from lamnet.batch.outcome import Note, Outcome
from lamnet.batch.upscalers import Upscalers
from lamnet.media import arrays
from lamnet.upscale.goal import Goal


def test_without_pyarrow_one_line_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    with pytest.raises(MissingExtraError, match=r"s3://a/b: .*lamnet-sr\[ray\]"):
        buckets.transfer(["s3://a/b"], None, "_x2")


def test_what_is_an_address() -> None:
    assert all(buckets.is_uri(name) for name in ("s3://a/b", "gs://a", "file:///tmp"))
    assert not any(buckets.is_uri(name) for name in ("a.png", "c:/a.png", "a//b.png", "//host/a.png"))


@pytest.fixture
def upscalers() -> Upscalers:
    torch.manual_seed(0)
    network = LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    return Upscalers([Upscaler(network, "cpu")], Goal(2), 100_000)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Pictures at two depths, a bad one, and one whose result is of another kind than its name says."""
    pytest.importorskip("pyarrow.fs", reason='needs PyArrow: pip install "lamnet-sr[ray]"')
    pixels = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    for name in ("a.png", "sub/b.png", "sub/.hidden/c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        arrays.write_array(tmp_path / "in" / name, pixels)
    (tmp_path / "in" / "bad.png").write_text("no picture")
    arrays.write_array(tmp_path / "in" / "really.jpg", pixels)
    (tmp_path / "in" / "really.jpg").rename(tmp_path / "in" / "really.png")
    return tmp_path / "in"


def transferred(inputs: list[Any], out: Any, upscalers: Upscalers, overwrite: bool = False) -> list[Outcome]:
    transfer = buckets.transfer([str(name) for name in inputs], out and str(out), "_x2", overwrite)
    return [progress.finish(transfer.upscale(job, upscalers)) for job in transfer.jobs()]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bucket_gives_what_a_folder_gives(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    outcomes = transferred([bucket.as_uri()], (tmp_path / "out").as_uri(), upscalers)
    assert [str(one.source) for one in outcomes if one.problem] == [f"{bucket.as_uri()}/bad.png"]
    [problem] = [str(one.problem) for one in outcomes if one.problem]
    assert problem.startswith(f"{bucket.as_uri()}/bad.png: expected a picture")
    for source, result in (("a.png", "a_x2.png"), ("sub/b.png", "b_x2.png"), ("really.png", "really_x2.jpg")):
        upscalers.for_size(9, 8).file(bucket / source, tmp_path / result)
    written = files_in(tmp_path / "out")
    assert sorted(written) == ["a_x2.png", "really_x2.jpg", "sub/b_x2.png"]
    assert all(content == (tmp_path / Path(name).name).read_bytes() for name, content in written.items())


def test_what_is_there_is_kept_unless_asked(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a_x2.png", "really_x2.jpg"):
        (out / name).write_text("done before")
    outcomes = transferred([bucket.as_uri()], out, upscalers)
    assert sorted(str(one.target) for one in outcomes if one.kept) == [
        (out / "a_x2.png").as_uri(),
        (out / "really_x2.jpg").as_uri(),
    ]
    assert (out / "really_x2.jpg").read_text() == "done before"
    transferred([bucket.as_uri()], out, upscalers, overwrite=True)
    assert arrays.read_array(out / "a_x2.png").shape == (16, 18, 3)


def test_results_beside_their_sources(bucket: Path, upscalers: Upscalers) -> None:
    assert len(transferred([bucket.as_uri()], None, upscalers)) == 4
    assert (bucket / "sub" / "b_x2.png").exists()
    again = transferred([bucket.as_uri()], None, upscalers)
    assert len(again) == 4
    assert sum(one.kept for one in again) == 3


def test_a_target_inside_the_source_is_no_source(bucket: Path, upscalers: Upscalers) -> None:
    for _ in range(2):
        assert len(transferred([bucket.as_uri()], (bucket / "out").as_uri(), upscalers)) == 4


def test_a_dry_run_names_the_first_and_counts_all(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    first, count = buckets.transfer([bucket.as_uri()], (tmp_path / "out").as_uri(), "_x2").describe(upscalers, most=1)
    assert str(first) == f"{bucket.as_uri()}/a.png -> {(tmp_path / 'out').as_uri()}/a_x2.png"
    assert count == Note("4 in all")
    assert not (tmp_path / "out").exists()


def test_a_format_of_ones_own_is_in_the_names(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    place = (tmp_path / "out").as_uri()
    transferred([bucket.as_uri()], place, upscalers)
    as_jpg = Upscalers(upscalers._upscalers, upscalers.goal, upscalers.max_pixels, ".jpg")
    named, _ = buckets.transfer([(bucket / "a.png").as_uri()], place, "_x2").describe(as_jpg)
    assert str(named).endswith("/a_x2.jpg")
    for kept in (
        [False, True, False],
        [True] * 3,
    ):  # one of the pictures is a JPEG, so that its result has been one before
        outcomes = [one for one in transferred([bucket.as_uri()], place, as_jpg) if one.problem is None]
        assert [one.kept for one in outcomes] == kept
        assert all(str(one.target).endswith(".jpg") for one in outcomes)


def test_one_object(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    [outcome] = transferred([(bucket / "a.png").as_uri()], tmp_path / "out", upscalers)
    assert outcome.problem is None
    assert list(files_in(tmp_path / "out")) == ["a_x2.png"]


def test_what_cannot_be_done_is_one_line(bucket: Path, upscalers: Upscalers, tmp_path: Path) -> None:
    with pytest.raises(BadArgumentError, match="one address"):
        transferred([bucket.as_uri(), bucket.as_uri()], None, upscalers)
    for address in ((tmp_path / "nothing").as_uri(), "nonsense://user:secret@host/path"):
        with pytest.raises(BadImageError, match=r"cannot be (listed|opened)") as caught:
            transferred([address], None, upscalers)
        assert "\n" not in str(caught.value)
        assert "secret" not in str(caught.value)
    (tmp_path / "file").touch()
    outcomes = transferred([bucket.as_uri()], (tmp_path / "file" / "out").as_uri(), upscalers)
    assert all(one.problem for one in outcomes)


def test_an_address_of_files_is_not_called_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    with pytest.raises(MissingExtraError, match=r"file:///a\.png: an address in place of a path needs pyarrow"):
        buckets.transfer(["file:///a.png"], None, "x2")

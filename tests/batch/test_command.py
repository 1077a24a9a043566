"""`lamnet upscale` from outside: results, one line for each bad input, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lamnet.base import files
from lamnet.media import arrays
from support.commands import Command


def test_bad_files_get_a_line_each_and_the_others_are_done(upscale: Command, folder: Path) -> None:
    names = ["missing.png", "text.png", "empty.png", "half.jpg", "good.png", "good.jpg"]
    done = upscale(*(folder / name for name in names))
    assert done.code == 1
    problems = done.err
    assert len(problems) == 4
    for name, line in zip(names, problems, strict=False):
        assert line.startswith(f"lamnet: {folder / name}: ")
    assert done.out == [str(folder / "good_x4.png"), str(folder / "good_x4.jpg")]
    assert arrays.read_array(folder / "good_x4.jpg").shape == (80, 120, 3)
    assert not [path for path in folder.iterdir() if "partial" in path.name]


def test_what_there_is_of_a_damaged_picture_is_taken_when_asked(upscale: Command, folder: Path) -> None:
    data = (folder / "good.jpg").read_bytes()
    (folder / "half.jpg").write_bytes(data[:-40])
    refused = upscale(folder / "half.jpg")
    assert (refused.code, refused.out) == (1, [])
    assert "(--damaged takes what there is)" in refused.err[0]
    taken = upscale(folder / "half.jpg", "--damaged")
    assert (taken.code, taken.out) == (0, [str(folder / "half_x4.jpg")])
    assert "half_x4.jpg: its file is damaged: " in taken.err[0]


def test_a_result_is_replaced_only_when_asked(upscale: Command, folder: Path) -> None:
    kept = folder / "good_x4.png"
    kept.write_text("mine")
    for arguments in ([folder / "good.png"], [folder / "good.png", folder / "good.png"]):
        again = upscale(*arguments)
        assert (again.code, again.out) == (0, [str(kept)])
        assert again.err == [f"lamnet: {kept}: was there already and is kept; --overwrite replaces it"]
    os.utime(kept, (0, 0))
    assert upscale(folder / "good.png").err[1:] == [f"lamnet: {kept}: is older than {folder / 'good.png'}"]
    refused = upscale(folder / "good.png", "-o", kept)  # named, so that something else may have been meant
    assert refused.code == 1
    assert "--overwrite" in refused.err[0]
    assert kept.read_text() == "mine"
    assert upscale(folder / "good.png", "--overwrite").code == 0
    assert arrays.read_array(kept).shape == (80, 120, 3)


def test_what_a_folder_leaves_out_is_counted_and_named(upscale: Command, tmp_path: Path) -> None:
    arrays.write_array(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    for name in ("b.txt", "c.xyz", "d.xyz", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "x.png").mkdir()
    (tmp_path / "there.png").symlink_to(tmp_path.parent)
    for more in ([], ["--dry-run"]):
        done = upscale(tmp_path, "-o", tmp_path / "x.png", *more)
        assert (done.code, len(done.out)) == (0, 1)
        found = "2 .xyz, 1 links to folders, 1 .txt, 1 links to nothing (there.png, b.txt, c.xyz, ...)"
        assert done.err[-1] == f"lamnet: left out what by its name is neither a picture nor a video: {found}"
    assert upscale(str(tmp_path / "?.*"), "-o", tmp_path / "y").err == [
        "lamnet: left out what by its name is neither a picture nor a video: 2 .xyz, 1 .txt (b.txt, c.xyz, d.xyz)"
    ]


def test_a_folder_of_which_nothing_can_be_read_is_an_error(upscale: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    (tmp_path / "none.png").mkdir()
    done = upscale(tmp_path / "texts", folder / "good.png", tmp_path / "none.png", str(tmp_path / "texts" / "*"))
    assert (done.code, done.out) == (1, [str(folder / "good_x4.png")])
    expected = "expected pictures or videos there, found"
    assert done.err == [
        f"lamnet: {tmp_path / 'texts'}: {expected} 1 .txt (a.txt)",
        f"lamnet: {tmp_path / 'none.png'}: {expected} none",
        f"lamnet: {tmp_path / 'texts' / '*'}: {expected} 1 .txt (a.txt)",
    ]


@pytest.mark.parametrize("address", ["https://example.org/a.png", "FTP://example.org/a.png", "data:image/png;base64,A"])
def test_an_address_of_the_web_is_called_that(upscale: Command, address: str) -> None:
    done = upscale(address)
    assert (done.code, len(done.err)) == (1, 1)
    assert f"{address}: expected a file, a folder or a bucket (s3://, gs://), got an address of" in done.err[0]


@pytest.mark.parametrize("stem", ["q" * 250, "ü" * 125])
def test_a_name_as_long_as_there_are(upscale: Command, tmp_path: Path, stem: str) -> None:
    names = [f"{stem}.png", f"{stem[:-1]}z.png"]
    (tmp_path / "in").mkdir()
    for name in names:
        arrays.write_array(tmp_path / "in" / name, np.zeros((4, 4, 3), np.uint8))
    assert len(set(upscale(tmp_path / "in").out)) == 2
    again = upscale(tmp_path / "in")
    assert (again.code, len(again.err)) == (0, 3)  # kept, and none taken for a source, which a line says
    assert len(list((tmp_path / "in").iterdir())) == 4


def test_a_folder_goes_into_a_folder(upscale: Command, folder: Path) -> None:
    done = upscale(folder, "-o", folder / "out")
    assert done.code == 1
    assert len(done.err) == 3
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["good_x4.jpg", "good_x4.png"]


def test_a_named_result_says_the_format(upscale: Command, folder: Path) -> None:
    assert upscale(folder / "good.png", "-o", folder / "other.webp").code == 0
    assert (folder / "other.webp").read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "nothing"], "nothing"),
        (["--scale", "5"], "at most 4"),
        (["--memory", "much"], "2GB"),
        (["--to", "big"], "3840x2160"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    lamnet: Command, folder: Path, model: Path, arguments: list[str], expected: str
) -> None:
    rest = arguments if "--model" in arguments else ["--model", str(model), *arguments]
    done = lamnet("upscale", folder / "good.png", *rest)
    assert done.code == 1
    assert len(done.err) == 1
    assert expected in done.err[0]


def test_a_folder_that_cannot_be_made_fails_only_its_pictures(upscale: Command, folder: Path) -> None:
    (folder / "file").touch()
    done = upscale(folder / "good.png", folder / "good.jpg", "-o", folder / "file" / "out")
    assert done.code == 1
    assert len(done.err) == 2


def test_a_second_call_over_a_folder_goes_on(upscale: Command, folder: Path) -> None:
    for name in ("text.png", "empty.png", "half.jpg"):
        (folder / name).unlink()
    (folder / "out").mkdir()
    (folder / "out" / "good_x4.png").write_text("done before")
    done = upscale(folder, "-o", folder / "out")
    assert done.code == 0
    assert len(done.out) == 2
    assert len(done.err) == 1
    assert (folder / "out" / "good_x4.png").read_text() == "done before"


def test_what_cannot_be_made_is_said_of_the_result(upscale: Command, folder: Path) -> None:
    (folder / ".b.png.rows.partial").mkdir()
    done = upscale(folder / "good.png", "-o", folder / "b.png")
    assert done.err == [f"lamnet: {folder / 'b.png'}: cannot be written: Is a directory"]


def test_the_source_is_never_its_own_result(upscale: Command, folder: Path) -> None:
    before = (folder / "good.png").read_bytes()
    done = upscale(folder / "good.png", "-o", folder / "good.png", "--overwrite")
    assert done.code == 1
    assert (folder / "good.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "name", "size"),
    [
        (["--scale", "2.5"], "good_x2.5.png", (50, 75)),
        (["--scale", "2"], "good_x2.png", (40, 60)),
        (["--to", "60x200"], "good_60x200.png", (40, 60)),
        (["--to", "x70"], "good_x70.png", (70, 105)),
    ],
)
def test_any_size(upscale: Command, folder: Path, arguments: list[str], name: str, size: tuple[int, int]) -> None:
    assert upscale(folder / "good.png", *arguments).code == 0
    assert arrays.read_array(folder / name).shape[:2] == size


@pytest.mark.parametrize(
    ("to", "said"), [("15x", "is 15 x 10, smaller than its source of 30 x 20"), ("30x", None), ("x30", None)]
)
def test_a_picture_that_becomes_smaller_is_named(upscale: Command, folder: Path, to: str, said: str | None) -> None:
    done = upscale(folder / "good.png", "--to", to)
    assert (done.code, len(done.out)) == (0, 1)
    assert done.err == ([f"lamnet: {done.out[0]}: {said}"] if said else [])


def test_a_size_beyond_the_network_is_refused(upscale: Command, folder: Path) -> None:
    done = upscale(folder / "good.png", "--to", "3840x2160")
    assert done.code == 1
    assert f"{folder / 'good.png'}: size: expected at most 4 times" in done.err[0]


def test_a_dry_run_says_and_does_nothing(upscale: Command, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = upscale(folder, "--dry-run", "--tile", "8")
    assert sorted(folder.iterdir()) == before
    assert done.code == 1
    assert len(done.err) == 3
    assert len(done.out) == 2
    assert "30 x 20 -> 120 x 80, 12 tiles of up to 8" in done.out[0]
    as_json = upscale(folder, "--dry-run", "--tile", "8", "--json")
    found = [json.loads(line) for line in as_json.out]
    assert (as_json.code, as_json.err, sorted(folder.iterdir())) == (1, done.err[3:], before)
    assert [
        f"{one['source']} -> {one['target']}: {one['about']}" for one in found if one["problem"] is None
    ] == done.out
    assert [f"lamnet: {one['problem']}" for one in found if one["problem"] is not None] == done.err[:3]


@pytest.mark.parametrize("name", ["two\nlines.png", "sp ace[1].png", "ünï.png", "[Q=1].png", "-dash.png"])
def test_awkward_names(upscale: Command, tmp_path: Path, name: str) -> None:
    arrays.write_array(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    done = upscale(tmp_path / name)
    assert (done.code, done.err) == (0, [])
    assert len(done.out) == 1
    assert arrays.read_array(tmp_path / name.replace(".png", "_x4.png")).shape == (16, 16, 3)


def test_a_manifest_stays_where_nothing_was_tried(upscale: Command, lamnet: Command, folder: Path, model: Path) -> None:
    manifest = folder.parent / "failed.jsonl"
    manifest.write_text("earlier\n")
    refused = lamnet("upscale", folder, "--model", model, "--device", "cuda:99", "--manifest", manifest)
    assert refused.code == 1
    assert manifest.read_text() == "earlier\n"
    upscale(folder, "--manifest", manifest)
    assert "earlier" not in manifest.read_text()
    assert sorted(path.name for path in folder.parent.iterdir() if path.name.endswith(".partial")) == []


@pytest.mark.parametrize("kind", ["", ".lock", ".rows"])
def test_links_in_the_place_of_partial_files_lead_nowhere(
    upscale: Command, folder: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "victim").write_text("precious")
    source = next(path for path in sorted(folder.iterdir()) if path.suffix == ".png")
    result = tmp_path / "out.png"
    files.partial_of(result, kind).symlink_to(tmp_path / "victim")
    upscale(source, "-o", result)
    assert (tmp_path / "victim").read_text() == "precious"

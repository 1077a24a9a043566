from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base.errors import BadArgumentError, BadDataError, BadWeightsError
from lamnet.base.progress import finish
from lamnet.cli import main
from lamnet.core.config import LAMNetConfig
from lamnet.evaluation import benchmarks, ranking, report
from lamnet.evaluation.comparison import comparing, evaluate
from lamnet.evaluation.metrics import Convention, psnr, ssim, to_y
from lamnet.evaluation.protocol import Protocol
from lamnet.evaluation.resize import crop_to_multiple, imresize
from lamnet.media import arrays
from lamnet.network.model import LAMNet

# Bicubic: PSNR-Y / SSIM-Y at x2, x3, x4, computed independently of this project.
FIGURES = {
    ("Set5", "float"): [(33.674, 0.9303), (30.405, 0.8689), (28.430, 0.8111)],
    ("Set5", "matlab"): [(33.640, 0.9292), (30.386, 0.8678), (28.418, 0.8101)],
    ("Set14", "float"): [(30.326, 0.8699), (27.634, 0.7759), (26.091, 0.7048)],
    ("Set14", "matlab"): [(30.220, 0.8683), (27.533, 0.7737), (25.993, 0.7023)],
    ("B100", "float"): [(29.561, 0.8434), (27.210, 0.7391), (25.962, 0.6681)],
    ("B100", "matlab"): [(29.548, 0.8425), (27.202, 0.7382), (25.957, 0.6672)],
}


def figures() -> list[Any]:
    """Set, convention and scale of all 18; the hundred pictures of B100 count as slow except at x4."""
    cases = [(name, convention, scale) for name, convention in FIGURES for scale in (2, 3, 4)]
    return [pytest.param(*case, marks=pytest.mark.slow if case[0] == "B100" and case[2] < 4 else ()) for case in cases]


@pytest.mark.parametrize(("name", "convention", "scale"), figures())
@pytest.mark.thorough
def test_bicubic_gives_the_known_figures(shared: Path, name: str, convention: Convention, scale: int) -> None:
    result = evaluate("bicubic", scale, shared / "data" / "benchmarks", [name], Protocol(convention=convention))
    psnr_y, ssim_y = FIGURES[name, convention][scale - 2]
    assert result["sets"][name]["psnr_y"] == pytest.approx(psnr_y, abs=0.005)
    assert result["sets"][name]["ssim_y"] == pytest.approx(ssim_y, abs=0.0002)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two small sets: A has LR files and a grey picture among its colour ones, B has HR alone."""
    for seed, name in enumerate(("baby", "bridge", "img_1")):
        hr = picture(seed)[..., :1] if name == "bridge" else picture(seed)
        for path, pixels in (
            (f"A/HR/{name}.png", hr),
            (f"A/LR_bicubic/X2/{name}x2.png", imresize(crop_to_multiple(hr, 2), 1 / 2)),
            (f"B/{name}.png", hr),
        ):
            (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            arrays.write_array(tmp_path / "data" / path, pixels)
    return tmp_path / "data"


def picture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(41)[:, None, None] / 5 + seed) + np.cos(np.arange(36)[:, None] / 7)
    return (127 + 50 * waves + rng.normal(0, 8, (41, 36, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture
def network() -> LAMNet:
    torch.manual_seed(0)
    return LAMNet(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2)).eval()


@pytest.mark.parametrize("convention", ["float", "matlab"])
def test_figures_are_those_of_the_pictures_taken_by_hand(data: Path, convention: Convention) -> None:
    result = evaluate("bicubic", 2, data, ["A"], Protocol(("psnr_y", "ssim_y"), convention, border=3))
    found = result["sets"]["A"]
    by_hand: list[float] = []
    for seed, (name, scores) in enumerate(found["images"].items()):
        hr = picture(seed)[:40, :, :1] if name == "bridge" else picture(seed)[:40]
        planes = to_y(hr, convention), to_y(imresize(imresize(hr, 0.5), 2), convention)
        assert scores["psnr_y"] == pytest.approx(psnr(*planes, 3), abs=1e-6)
        assert scores["ssim_y"] == pytest.approx(ssim(*planes, 3), abs=1e-6)
        by_hand.append(psnr(*planes, 3))
    assert list(found["images"]) == ["baby", "bridge", "img_1"]
    assert found["psnr_y"] == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert result["protocol"] == {"convention": convention, "border": 3, "lr_made": []}


def test_made_lr_gives_what_the_files_give_and_is_named(data: Path) -> None:
    result = evaluate("bicubic", 2, str(data))
    assert result["sets"]["A"] == result["sets"]["B"]
    assert result["protocol"]["lr_made"] == ["B"]


def test_two_runs_give_identical_json(data: Path, network: LAMNet) -> None:
    first, second = (report.to_json(finish(comparing([network, "bicubic"], 2, data))) for _ in range(2))
    assert first == second
    assert [row["params"] for row in json.loads(first)] == [sum(p.numel() for p in network.parameters()), None]


def test_saved_results_measure_as_the_model_itself(data: Path, network: LAMNet, tmp_path: Path) -> None:
    save = tmp_path / "saved"
    (row,) = finish(comparing([network], 2, data, save=save))
    assert {path.name for path in (save / "LAMNet" / "B").iterdir()} == {"babyx2.png", "bridgex2.png", "img_1x2.png"}
    (again,) = finish(comparing([], 2, data, results=[save / "LAMNet"]))
    assert again["sets"] == row["sets"]
    assert (again["model"], again["params"]) == (str(save / "LAMNet"), None)
    with pytest.raises(BadArgumentError, match=r"found .*already there"):
        finish(comparing([network], 2, data, save=save))


def test_conditions_are_measured_one_by_one_and_recorded(data: Path, tmp_path: Path) -> None:
    """LR files and LR made from HR alike; blur is made from HR in both."""
    names = ["clean", "jpeg75", "blur0.6+noise4+jpeg75"]
    rows = finish(comparing(["bicubic"], 2, data, degrade=names))
    assert [row["protocol"].pop("degrade") for row in rows] == names
    assert rows[0] == evaluate("bicubic", 2, data)
    assert evaluate("bicubic", 2, data, degrade="jpeg75")["sets"] == rows[1]["sets"]
    for row in rows:
        assert row["sets"]["A"] == row["sets"]["B"]
    clean, jpeg, all_three = (row["sets"]["A"]["psnr_y"] for row in rows)
    assert clean > jpeg > all_three
    with pytest.raises(BadArgumentError, match="results: expected one condition"):
        finish(comparing([], 2, data, results=[tmp_path], degrade=names))


def test_saved_lr_is_what_was_measured_and_is_taken_again(data: Path, tmp_path: Path) -> None:
    save = tmp_path / "lr"
    (row,) = finish(comparing(["bicubic"], 2, data, ["B"], degrade=["noise9"], save_lr=save))
    path = save / "noise9" / "B" / "babyx2.png"
    noisy = imresize(arrays.read_array(path), 2)
    measured = psnr(to_y(picture(0)[:40]), to_y(noisy), 2)
    assert row["sets"]["B"]["images"]["baby"]["psnr_y"] == pytest.approx(measured, abs=1e-6)
    (again,) = finish(comparing(["bicubic"], 2, data, ["B"], degrade=["noise9"], save_lr=save))
    assert again == row
    darker = arrays.read_array(path) // 2 + 50
    arrays.write_array(path, darker)
    both = finish(comparing(["bicubic", "bicubic"], 2, data, ["B"], degrade=["noise9"], save_lr=save))
    measured = psnr(to_y(picture(0)[:40]), to_y(imresize(darker, 2)), 2)
    for other in both:
        assert other["sets"]["B"]["images"]["baby"]["psnr_y"] == pytest.approx(measured, abs=1e-6)
        assert (other["protocol"]["lr_made"], other["protocol"]["lr_taken"]) == (["B"], ["B"])
    assert "LR of B made by bicubic, LR of B taken from other files" in ranking.to_markdown(both)
    arrays.write_array(path, 255 - arrays.read_array(path))
    with pytest.raises(BadDataError, match=r"noise9/B/babyx2\.png: expected LR of the picture of that name, found an"):
        finish(comparing(["bicubic"], 2, data, ["B"], degrade=["noise9"], save_lr=save))
    arrays.write_array(path, np.zeros((19, 18, 3), np.uint8))
    with pytest.raises(
        BadDataError, match=r"babyx2\.png: expected LR of \d+ x \d+ in 8 bits, found 18 x 19 in 8; choose"
    ):
        finish(comparing(["bicubic"], 2, data, ["B"], degrade=["noise9"], save_lr=save))
    assert arrays.read_array(path).shape == (19, 18, 3)


@pytest.mark.parametrize("noise", ["noise50", "noise100"])
def test_lr_with_other_noise_shows_the_same_picture(tmp_path: Path, noise: str) -> None:
    waves = np.sin(np.arange(200)[:, None, None] / 30) + np.cos(np.arange(160)[:, None] / 40) + np.zeros(3)
    for name in ("a", "b"):
        (tmp_path / "S").mkdir(exist_ok=True)
        arrays.write_array(tmp_path / "S" / f"{name}.png", (127 + 50 * waves).astype(np.uint8))
    finish(comparing(["bicubic"], 2, tmp_path / "S", degrade=[noise], save_lr=tmp_path / "lr"))
    a, b = (tmp_path / "lr" / noise / "S" / f"{name}x2.png" for name in "ab")
    a.write_bytes(b.read_bytes())
    (row,) = finish(comparing(["bicubic"], 2, tmp_path / "S", degrade=[noise], save_lr=tmp_path / "lr"))
    assert row["protocol"]["lr_taken"] == ["S"]


def test_lr_that_was_there_is_said_by_the_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("evaluate", "bicubic", "--scale", 2, "--data", data, "--sets", "B", "--save-lr", tmp_path / "lr")
    run(*common)
    run(*common)
    assert capsys.readouterr().err == ""
    for path in (tmp_path / "lr" / "B").iterdir():
        arrays.write_array(path, arrays.read_array(path) // 2 + 60)
    assert "border 2, LR of B taken from other files\n" in run(*common)
    assert capsys.readouterr().err == (
        f"lamnet: {tmp_path / 'lr'}: had other LR of B than would be made; it was measured\n"
    )


def test_lr_is_not_saved_onto_the_data(data: Path, tmp_path: Path) -> None:
    (tmp_path / "lr").mkdir()
    (tmp_path / "lr" / "A").symlink_to(data / "A" / "LR_bicubic" / "X2")
    with pytest.raises(BadArgumentError, match=r"save_lr: expected a folder apart from the data, found .*babyx2\.png"):
        finish(comparing(["bicubic"], 2, data, ["A"], save_lr=tmp_path / "lr"))


def test_lr_is_not_saved_beside_the_data_which_would_then_take_it_for_hr(data: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"save_lr: expected a folder apart from the data, found .*babyx2\.png"):
        finish(comparing(["bicubic"], 2, data, ["B"], save_lr=data))
    assert sorted(path.name for path in (data / "B").iterdir()) == ["baby.png", "bridge.png", "img_1.png"]


@pytest.mark.parametrize(("condition", "made"), [("blur0.5", ["A", "B"]), ("noise5", ["B"])])
def test_lr_under_blur_is_said_to_be_made_where_a_set_has_its_own_too(
    data: Path, condition: str, made: list[str]
) -> None:
    assert evaluate("bicubic", 2, data, degrade=condition)["protocol"]["lr_made"] == made


def test_times_stand_beside_the_figures_only_on_request(data: Path, network: LAMNet, tmp_path: Path) -> None:
    (row,) = finish(comparing([network], 2, data, ["A"], Protocol(times=True), save=tmp_path / "saved"))
    seconds = [image["seconds"] for image in row["sets"]["A"]["images"].values()]
    assert min(seconds) > 0
    assert row["sets"]["A"]["seconds"] == pytest.approx(np.mean(seconds), abs=1e-6)
    (read,) = finish(comparing([], 2, data, ["A"], Protocol(times=True), results=[tmp_path / "saved" / "LAMNet"]))
    assert "seconds" not in read["sets"]["A"]


def test_ensemble_changes_networks_and_not_bicubic(data: Path, network: LAMNet) -> None:
    plain = finish(comparing([network, "bicubic"], 2, data))
    both = finish(comparing([network, "bicubic"], 2, data, protocol=Protocol(ensemble=True)))
    assert [row["model"] for row in both] == ["LAMNet+", "bicubic"]
    assert plain[0]["sets"] != both[0]["sets"]
    assert plain[1] == both[1]


def test_a_result_equal_to_its_hr_is_infinite_and_not_an_error(data: Path, tmp_path: Path) -> None:
    for path in (data / "B").iterdir():
        (tmp_path / "same").mkdir(exist_ok=True)
        arrays.write_array(tmp_path / "same" / path.name, arrays.read_array(path)[:40])
    (row,) = finish(comparing([], 2, data, ["B"], results=[tmp_path / "same"]))
    assert row["sets"]["B"]["psnr_y"] == float("inf")
    assert row["sets"]["B"]["ssim_y"] == 1


def test_everything_is_checked_before_anything_is_computed(
    data: Path, network: LAMNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(x: Tensor) -> Tensor:
        raise AssertionError("computed")

    monkeypatch.setattr(network, "forward", compute)
    (tmp_path / "results").mkdir()
    with pytest.raises(BadDataError, match="expected a folder A of results"):
        finish(comparing([network], 2, data, results=[tmp_path / "results"]))
    with pytest.raises(BadWeightsError, match="absent"):
        finish(comparing([network, "absent"], 2, data))
    (data / "A/LR_bicubic/X2/img_1x2.png").unlink()
    with pytest.raises(BadDataError, match=r"A img_1\.png: no LR picture"):
        finish(comparing([network], 2, data))
    with pytest.raises(BadArgumentError, match="models: expected at least one"):
        finish(comparing([], 2, data))


def run(*arguments: object) -> str:
    """The command's stdout; it must succeed."""
    with pytest.raises(SystemExit) as stopped, contextlib.redirect_stdout(io.StringIO()) as out:
        main.app([str(argument) for argument in arguments])
    assert not stopped.value.code
    return out.getvalue()


def test_the_command_prints_the_table_and_writes_the_files(data: Path, tmp_path: Path) -> None:
    common = ("evaluate", "bicubic", "--scale", 2, "--data", data, "--sets", "A,B")
    files = [tmp_path / "out" / name for name in ("a.json", "a.csv", "a.md")]
    out = run(*common, "--json", files[0], "--csv", files[1], "--markdown", files[2], "--save", tmp_path / "saved")
    assert json.loads(files[0].read_text()) == evaluate("bicubic", 2, data, ["A", "B"])
    assert len(files[1].read_text().splitlines()) == 1 + 2 * 4
    assert out.strip() == files[2].read_text().strip()
    options = ("--results", tmp_path / "saved" / "bicubic", "--compare", files[0], "--metrics", "ssim_y,psnr_rgb")
    table = run(*common, *options, "--times")
    assert "PSNR-Y / SSIM-Y / PSNR-RGB / s/image" in table
    assert len([line for line in table.splitlines() if "bicubic" in line and line.startswith("|")]) == 3


def test_a_place_that_cannot_be_written_is_found_before_measuring(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamnet.evaluation.comparison.comparing", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "folder").mkdir()
    for option in ("--json", "--csv", "--markdown"):
        with pytest.raises(BadArgumentError, match="folder: cannot be written: Is a directory"):
            main.app(["evaluate", "bicubic", "--data", str(data), option, str(tmp_path / "folder")])
    assert [path.name for path in tmp_path.iterdir() if "folder" in path.name] == ["folder"]


def test_the_table_is_printed_where_a_file_cannot_be_written(data: Path, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    out = io.StringIO()
    common = ["evaluate", "bicubic", "--scale", "2", "--data", str(data), "--sets", "A"]
    with contextlib.redirect_stdout(out), pytest.raises(BadArgumentError, match=r"/dev/full: .*No space left"):
        main.app([*common, "--json", str(full)])
    assert "| bicubic |" in out.getvalue()


def test_the_command_has_a_row_for_each_model_and_condition(data: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "a.csv")]
    common = ("evaluate", "bicubic", "--scale", 2, "--data", data, "--sets", "A", "--degrade", "clean,noise5+jpeg75")
    table = run(*common, "--json", files[0], "--csv", files[1])
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines() if line.startswith("| b")]
    assert rows == [["bicubic", "", "clean"], ["bicubic", "", "noise5+jpeg75"]]
    assert "**" not in table
    assert [one["protocol"]["degrade"] for one in json.loads(files[0].read_text())] == ["clean", "noise5+jpeg75"]
    assert files[1].read_text().startswith("model,scale,degrade,set,image,psnr_y,ssim_y\nbicubic,2,clean,A,baby,")


def test_a_picture_that_cannot_be_measured_is_left_out_and_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One by its header, another when its pixels are read; the others have the figures that they have without them."""
    whole = evaluate("bicubic", 2, data, ["A"])
    monkeypatch.setattr(benchmarks, "LARGEST", 2000)
    arrays.write_array(data / "A/HR/huge.png", picture(3).repeat(2, 0))
    arrays.write_array(data / "A/LR_bicubic/X2/hugex2.png", imresize(picture(3).repeat(2, 0), 1 / 2))
    cut = (data / "A/HR/baby.png").read_bytes()
    (data / "A/HR/spoilt.png").write_bytes(cut[: len(cut) // 2])
    arrays.write_array(data / "A/LR_bicubic/X2/spoiltx2.png", arrays.read_array(data / "A/LR_bicubic/X2/babyx2.png"))
    common = ["evaluate", "bicubic", "--scale", "2", "--data", str(data), "--sets", "A"]
    with pytest.raises(SystemExit) as stopped:
        main.app([*common, "--json", str(tmp_path / "a.json"), "--degrade", "clean", "--times"])
    assert stopped.value.code == 1
    out, err = capsys.readouterr()
    assert "border 2, 3 of 5 pictures of A" in out
    huge, spoilt = err.splitlines()
    assert huge == "lamnet: A huge: huge.png is 36x82, expected at most 2,000 pixels; left out"
    assert spoilt.startswith(f"lamnet: A spoilt: {data / 'A/HR/spoilt.png'}: expected a whole picture, found ")
    [read] = report.from_json(tmp_path / "a.json")
    assert read["sets"]["A"].pop("left_out").keys() == {"huge", "spoilt"}
    without_times = {
        name: {one: value for one, value in scores.items() if one != "seconds"}
        for name, scores in read["sets"]["A"]["images"].items()
    }
    assert without_times == whole["sets"]["A"]["images"]
    assert read["sets"]["A"]["psnr_y"] == whole["sets"]["A"]["psnr_y"]
    with pytest.raises(SystemExit):  # an earlier file with pictures left out joins a table
        main.app([*common, "--compare", str(tmp_path / "a.json")])
    assert capsys.readouterr().out.count("3 of 5 pictures of A") == 1


def test_pictures_of_which_none_can_be_measured_are_refused(data: Path) -> None:
    for path in (data / "B").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        BadDataError, match=r"B: expected a picture that can be measured, found none, the first: .*baby"
    ):
        evaluate("bicubic", 2, data, ["B"])


def test_a_set_that_cannot_be_measured_does_not_end_the_others(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, path in enumerate(sorted((data / "B").iterdir())):  # one by its header, the others by their pixels
        path.write_bytes(path.read_bytes()[: -100 if number else 8])
    found = evaluate("bicubic", 2, data)
    assert found["sets"] == evaluate("bicubic", 2, data, ["A"])["sets"]
    assert [*found["unmeasured"]] == ["B"]
    assert [*found["unmeasured"]["B"]] == sorted(path.stem for path in (data / "B").iterdir())
    common = ["evaluate", "bicubic", "--data", str(data), "--scale", "2"]
    for words in (["--json", str(tmp_path / "a.json")], ["--compare", str(tmp_path / "a.json")]):
        with pytest.raises(SystemExit) as ended:
            main.app([*common, *words])
        assert ended.value.code == 1
        out, err = capsys.readouterr()
        assert f", 0 of {len(found['unmeasured']['B'])} pictures of B" in out
        assert "B baby: " in err


def test_a_result_that_cannot_be_kept_is_no_fault_of_the_picture(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ({"save": tmp_path / "file"}, {"save_lr": tmp_path / "file"}):
        with pytest.raises(BadArgumentError, match=r"babyx2\.png: cannot be written"):
            finish(comparing(["bicubic"], 2, data, ["A"], **place))

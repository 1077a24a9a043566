"""What comes back over HTTP is what the command writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from lamnet.base.progress import Progress
from lamnet.batch import local
from lamnet.batch.outcome import Outcome
from lamnet.batch.request import Request
from lamnet.upscale.goal import Goal
from support.pictures import gradient
from support.server import Running

pytestmark = pytest.mark.thorough


def png16(folder: Path) -> Path:
    path = folder / "deep.png"
    pyvips.Image.new_from_array(gradient(4, np.uint16)).copy(interpretation="rgb16").pngsave(str(path))
    return path


def jpeg(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Käse & Söhne", 6
    exif.get_ifd(0x8769)[0x9003] = "2026:11:26 10:00:00"
    path = folder / "photo of a café.JPG"
    Image.fromarray(gradient(3)).save(path, exif=exif, quality=60, dpi=(300, 300))
    return path


def tiff(folder: Path) -> Path:
    path = folder / "floats.tif"
    tifffile.imwrite(path, gradient(3, np.float32) * 3 - 1)
    return path


def gif(folder: Path) -> Path:
    path = folder / "drawing.gif"
    Image.fromarray(gradient(1)[..., 0]).save(path)
    return path


def by_command(source: Path, request: Request) -> Outcome:
    [outcome] = [event for event in local.run(request) if not isinstance(event, Progress)]
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.mark.parametrize("make", [png16, jpeg, tiff, gif])
def test_results_are_those_of_the_command(server: Running, tmp_path: Path, make) -> None:
    source = make(tmp_path)
    expected = by_command(source, Request((str(source),), model="tiny", goal=Goal(2), device="cpu"))
    state, result = server.upscaled(source, source.name)
    assert state["result"] == Path(expected.target).name
    assert result == Path(expected.target).read_bytes()
    assert state["notes"] == list(expected.notes)
    assert state["weights"] == (None if expected.choice is None else str(expected.choice))


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({"scale": "1.5", "format": "webp", "quality": "40"}, {"goal": Goal(1.5), "format": "webp", "quality": 40}),
        ({"scale": "2", "weights": "photo"}, {"goal": Goal(2), "weights": "photo"}),
        ({"scale": "2", "strength": "0.5"}, {"goal": Goal(2), "strength": 0.5}),
        ({"scale": "1", "weights": "photo"}, {"goal": Goal(1), "weights": "photo"}),
    ],
)
def test_options_mean_what_they_mean_to_the_command(server: Running, tmp_path: Path, options, request_) -> None:
    source = jpeg(tmp_path)
    expected = by_command(source, Request((str(source),), model="tiny", device="cpu", **request_))
    state, result = server.upscaled(source, source.name, **options)
    assert state["result"] == Path(expected.target).name
    assert result == Path(expected.target).read_bytes()


def test_a_size_to_fit_into(server: Running, tmp_path: Path) -> None:
    source = png16(tmp_path)
    sent = server.ask("POST", "/api/jobs?name=a.png&model=tiny&width=50", source.read_bytes()).json
    state = server.state(sent["id"], 60)
    (tmp_path / "a.png").write_bytes(server.ask("GET", f"/api/jobs/{sent['id']}/result").body)
    assert state["result"] == "a_50x.png"
    assert pyvips.Image.new_from_file(str(tmp_path / "a.png")).width == 50


def test_a_video(server: Running, tmp_path: Path) -> None:
    clips = pytest.importorskip("support.clips", reason='needs PyAV: pip install "lamnet-sr[video]"')
    source = clips.clip(tmp_path, "clip.mp4")
    expected = by_command(source, Request((str(source),), model="tiny", goal=Goal(2), device="cpu"))
    state, result = server.upscaled(source, source.name)
    assert state["result"] == "clip_x2.mp4"
    assert result == Path(expected.target).read_bytes()


def test_what_cannot_be_written_is_refused_as_by_the_command(server: Running, tmp_path: Path) -> None:
    sent = server.send(png16(tmp_path), "deep.png", format="jpg").json
    state = server.state(sent["id"], 60)
    assert state["state"] == "failed"
    assert state["error"] == "deep.png: expected a format that holds transparency, found .jpg"
    answer = server.ask("GET", f"/api/jobs/{sent['id']}/result")
    assert answer.status == 409

"""Jobs: their turn, their end, and that what goes wrong with one harms no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.server.settings import Limits, Settings
from support.server import BUG, CRASH, ENDLESS, FAULTY, HANG, Running, Start, picture

pytestmark = pytest.mark.thorough


def running(server: Running, id: str) -> bool:
    return server.state(id)["state"] == "running"


def done(server: Running, file: Path) -> str:
    """The job of a file, once it is done."""
    id = server.send(file).json["id"]
    assert server.state(id, 60)["state"] == "done"
    return id


def test_jobs_wait_for_their_turn(server: Running, tmp_path: Path) -> None:
    first = server.send(picture(tmp_path, ENDLESS)).json["id"]
    others = [server.send(picture(tmp_path)).json["id"] for _ in range(3)]
    server.until(lambda: running(server, first))
    assert [server.state(id)["position"] for id in (first, *others)] == [0, 1, 2, 3]
    server.until(lambda: server.state(first)["progress"] == 0.25)
    server.until(lambda: server.state(first)["seconds_left"] > 0)  # 0.0 for as long as the work is new
    assert server.ask("DELETE", f"/api/jobs/{others[0]}").status == 204
    assert [server.state(id)["position"] for id in others[1:]] == [1, 2]
    assert server.ask("DELETE", f"/api/jobs/{first}").status == 204
    assert [server.state(id, 60)["state"] for id in others[1:]] == ["done", "done"]
    assert [server.ask("GET", f"/api/jobs/{id}").status for id in (first, others[0])] == [404, 404]
    for id in others[1:]:
        assert server.ask("GET", f"/api/jobs/{id}/result").status == 200
    server.until(lambda: not server.files())


@pytest.mark.parametrize(
    ("width", "reason"),
    [
        (CRASH, "the process that worked on it ended (SIGSEGV)"),
        (BUG, "this is a bug in lamnet, please report it: RuntimeError: result.png and key.pem"),
    ],
)
def test_a_job_that_crashes_is_one_line_and_harms_no_other(
    server: Running, tmp_path: Path, width: int, reason: str
) -> None:
    bad = server.send(picture(tmp_path, width), "bad.png").json["id"]
    good = server.send(picture(tmp_path)).json["id"]
    state = server.state(bad, 60)
    assert state["state"] == "failed"
    assert state["error"].startswith(f"bad.png: {reason}")
    assert str(server.temp) not in str(state)
    assert "\n" not in state["error"]
    assert server.state(good, 60)["state"] == "done"
    for id in (bad, good):
        server.ask("DELETE", f"/api/jobs/{id}")
    server.until(lambda: not server.files())


def test_what_hangs_is_cancelled_all_the_same(server: Running, tmp_path: Path) -> None:
    hung = server.send(picture(tmp_path, HANG)).json["id"]
    server.until(lambda: running(server, hung))
    assert server.ask("DELETE", f"/api/jobs/{hung}").status == 204
    assert server.upscaled(picture(tmp_path))[1]


def test_time_is_limited(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, limits=Limits(seconds=4)), FAULTY)
    hung = server.send(picture(tmp_path, HANG)).json["id"]
    good = server.send(picture(tmp_path)).json["id"]
    assert server.state(hung, 60)["error"] == "photo.png: expected to be done within 4 s, which are over"
    assert server.state(good, 60)["state"] == "done"


def test_the_queue_is_limited(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, limits=Limits(queue=2)), FAULTY)
    hung = server.send(picture(tmp_path, HANG)).json["id"]
    server.until(lambda: running(server, hung))
    assert [server.send(picture(tmp_path)).status for _ in range(2)] == [201, 201]
    full = server.send(picture(tmp_path))
    assert full.status == 503
    assert full.headers["retry-after"]
    assert full.json["error"] == "expected at most 2 files that wait, and there are as many"
    server.ask("DELETE", f"/api/jobs/{hung}")
    server.until(lambda: server.send(picture(tmp_path)).status == 201)


def test_several_workers_work_at_once(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, workers=2), FAULTY)
    hung = [server.send(picture(tmp_path, HANG)).json["id"] for _ in range(2)]
    server.until(lambda: all(running(server, id) for id in hung))


@pytest.mark.parametrize("width", [20, HANG])
def test_nothing_is_kept_for_those_who_do_not_ask(start: Start, tmp_path: Path, width: int) -> None:
    server = start(Settings(port=0, limits=Limits(keep=2)), FAULTY)
    id = server.send(picture(tmp_path, width)).json["id"]
    server.until(server.files)
    server.until(lambda: not server.files())
    assert server.ask("GET", f"/api/jobs/{id}").status == 404


def test_few_results_are_kept_that_nobody_fetches(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, limits=Limits(kept=2)), FAULTY)
    first, *others = [done(server, picture(tmp_path)) for _ in range(3)]
    last = server.send(picture(tmp_path)).json["id"]
    assert [server.ask("GET", f"/api/jobs/{id}").status for id in (first, *others, last)] == [404, 200, 200, 200]


def test_a_source_goes_when_its_result_is_there(server: Running, tmp_path: Path) -> None:
    id = server.send(picture(tmp_path)).json["id"]
    state = server.state(id, 60)
    server.until(lambda: [path.name for path in server.files()] == ["result.png"])
    answer = server.ask("HEAD", f"/api/jobs/{id}/result")
    assert (answer.headers["content-length"], answer.body) == (str(state["bytes"]), b"")
    assert len(server.ask("GET", f"/api/jobs/{id}/result").body) == state["bytes"]
    server.until(lambda: not server.files())


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("scale=9", "scale: expected at most 4 with this model, got 9"),
        ("scale=nan", "scale: expected a number from 1 to 100, got nan"),
        ("scale=1e1", "scale: expected a number from 1 to 100, got 1e1"),
        ("width=2.5", "width: expected a whole number from 1 to 10,000,000, got 2.5"),
        ("scale=2&width=9", "scale: expected it without width and height, got both"),
        (
            "scale=1&weights=clean",
            "scale: expected more than 1 with clean weights, which take nothing away, got 1; photo weights do",
        ),
        ("quality=0", "quality: expected a whole number from 1 to 100, got 0"),
        ("format=exe", "format: expected one of"),
        ("weights=dirty", "weights: expected auto, clean or photo, got dirty"),
        ("model=/etc/passwd", "model: expected one of"),
        ("model=huge", "model: expected one of"),
        ("strength=2", "strength: expected a number from 0 to 1, got 2"),
        ("device=cuda", "device: expected one of the options"),
        ("sources=/etc", "sources: expected one of the options"),
        ("wait=soon", "wait: expected one of the options"),
    ],
)
def test_options_are_checked_before_anything_is_kept(server: Running, query: str, error: str) -> None:
    answer = server.ask("POST", f"/api/jobs?name=a.png&{query}", b"picture")
    assert answer.status == 400
    assert answer.json["error"].startswith(error)


def test_choices_are_those_that_work(server: Running, tmp_path: Path) -> None:
    choices = server.ask("GET", "/api/options").json
    assert {".png", ".jpg"} <= set(choices["reads"])
    for size, scales in choices["models"].items():
        assert server.upscaled(picture(tmp_path, 8, 6), model=size, scale=str(scales["clean"][0]))[1]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("..%2F..%2Fetc%2Fpasswd.png", "passwd_x2.png"),
        ("C:%5Cphotos%5Ca.png", "a_x2.png"),
        ("%00%0A.png", "png_x2.png"),
        ("", "picture_x2.png"),
        ("x" * 400 + ".png", None),
        ("%F0%9F%90%88.png", "🐈_x2.png"),
    ],
)
def test_names_are_names(server: Running, tmp_path: Path, given: str, kept: str | None) -> None:
    sent = server.ask("POST", f"/api/jobs?name={given}&model=tiny&scale=2", picture(tmp_path).read_bytes()).json
    state = server.state(sent["id"], 60)
    assert len(state["result"].encode()) < 255
    assert kept in (None, state["result"])
    answer = server.ask("GET", f"/api/jobs/{sent['id']}/result")
    assert "\n" not in answer.headers["content-disposition"]
    assert answer.headers["content-disposition"].isascii()

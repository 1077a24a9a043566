"""Who may ask, and what every answer says to browsers."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from lamnet.server.access import HEADERS, Access, is_local
from lamnet.server.settings import Settings
from support.server import Running, Start, picture

TOKEN = "a-token-of-23-letters-x"
pytestmark = pytest.mark.thorough


def refusal(access: Access, path: str = "/api/options", **headers: str) -> int | None:
    refused = access.refusal(path, Headers({name.replace("_", "-"): value for name, value in headers.items()}))
    return refused and refused[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "LOCALHOST:8765", "[::1]:8765"])
def test_names_of_this_machine_are_known(host: str) -> None:
    assert refusal(Access.at("127.0.0.1", (), None), host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.0.7",
        "[",
        "",
        "localhost:80@evil.example",
        "localhost@evil.example",
        "[::1]evil.example",
        "localhost:8765.evil.example",
        "127.0.0.1.",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert refusal(Access.at("127.0.0.1", (), None), host=host) == 421
    assert refusal(Access.at("127.0.0.1", (), None), "/", host=host) == 421


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    access = Access.at("127.0.0.1", (), None)
    assert refusal(access) == 421
    two = Headers(raw=[(b"host", b"localhost"), (b"host", b"evil.example")])
    assert (access.refusal("/", two) or (0,))[0] == 421


def test_a_server_for_others_knows_addresses_and_the_names_it_is_given() -> None:
    access = Access.at("0.0.0.0", ("pictures.example",), TOKEN)
    right = f"Bearer {TOKEN}"
    assert refusal(access, host="192.168.0.7:8765", authorization=right) is None
    assert refusal(access, host="[fd00::1]:8765", authorization=right) is None
    assert refusal(access, host="Pictures.example", authorization=right) is None
    assert refusal(access, host="evil.example", authorization=right) == 421
    assert refusal(Access.at("", (), TOKEN), host="", authorization=right) == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:9", "http://localhost", "https://localhost:8765.evil.example"],
)
def test_pages_of_others_are_refused(origin: str) -> None:
    access = Access.at("127.0.0.1", (), None)
    assert refusal(access, host="localhost:8765", origin=origin) == 403
    assert refusal(access, host="localhost:8765", origin="http://localhost:8765") is None


def test_browsers_say_whose_page_asks() -> None:
    access = Access.at("127.0.0.1", (), None)
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", None), ("none", None)):
        assert refusal(access, host="localhost", sec_fetch_site=site) == status
    assert refusal(access, "/", host="localhost", sec_fetch_site="cross-site") is None  # a link that leads here


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"]
)
def test_the_token_is_wanted_whole(shown: str | None) -> None:
    access = Access.at("127.0.0.1", (), TOKEN)
    headers = {} if shown is None else {"authorization": shown}
    assert refusal(access, host="localhost", **headers) == 401
    assert refusal(access, "/", host="localhost", **headers) is None  # the page holds nothing
    assert refusal(access, host="localhost", authorization=f"bearer {TOKEN}") is None


def test_which_addresses_are_local() -> None:
    assert [
        host
        for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "box", "")
        if is_local(host)
    ] == [
        "127.0.0.1",
        "127.3.2.1",
        "::1",
        "localhost",
    ]


def test_a_server_with_a_token(start: Start, tmp_path: Path) -> None:
    server = start(Settings(port=0, token=TOKEN))
    refused = server.send(picture(tmp_path))
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in refused.body.decode()
    server.headers["Authorization"] = f"Bearer {TOKEN}"
    assert server.upscaled(picture(tmp_path))[1]


def test_every_answer_has_the_headers(server: Running) -> None:
    asked = [("GET", "/"), ("GET", "/app.js"), ("GET", "/style.css"), ("GET", "/api/options"), ("GET", "/nothing")]
    asked += [("GET", "/api/jobs/x"), ("PUT", "/api/jobs"), ("OPTIONS", "/api/jobs"), ("HEAD", "/"), ("TRACE", "/")]
    answers = [server.ask(*one) for one in asked] + [server.ask("GET", "/", Host="evil.example")]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 404, 404, 405, 405, 200, 405, 421]
    for answer in answers:
        assert {name: answer.headers.get(name.lower()) for name in HEADERS} == HEADERS
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert all("error" in answer.json for answer in answers if answer.status >= 400)


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/page/index.html",
        "/api/jobs/..%2f..",
        "/%00",
        "/style.css/",
    ],
)
def test_paths_lead_nowhere(server: Running, path: str) -> None:
    assert server.ask("GET", path).status == 404


def test_the_page_is_served_and_names_no_other_host(server: Running) -> None:
    page = server.ask("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert server.ask("GET", "/app.js").headers["content-type"].startswith("text/javascript")
    for path in ("/", "/app.js", "/style.css"):
        assert b"://" not in server.ask("GET", path).body


def test_jobs_are_not_listed_and_not_guessed(server: Running, tmp_path: Path) -> None:
    id = server.send(picture(tmp_path)).json["id"]
    assert len(id) >= 22
    assert server.ask("GET", "/api/jobs").status == 405
    assert server.ask("GET", f"/api/jobs/{id[:-1]}").status == 404
    assert server.ask("DELETE", f"/api/jobs/{id}").status == 204


def test_the_terms_of_the_weights_are_there(server: Running) -> None:
    answer = server.ask("GET", "/WEIGHTS.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"research only" in answer.body

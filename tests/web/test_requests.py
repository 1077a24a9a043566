"""What the page in a browser asks for: of no other host, little before a picture, and nothing once it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest

from support.page import by_command, check_equal, picture, pixels_of, until

pytestmark = pytest.mark.slow

Visit = Any  # of conftest.py
Site = Any


def test_nothing_is_asked_of_another_host_and_nothing_can_be(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, site: Site
) -> None:
    visit.enlarge(picture("plain", tmp_path, photograph))
    host = urlparse(site.address).netloc
    assert {urlparse(url).netloc for url in visit.requests if not url.startswith(("blob:", "data:"))} == {host}
    send = "fetch('http://127.0.0.2:9/').then(() => 'sent', (error) => 'held')"
    blocked = visit.page.evaluate(
        f"""() => new Promise((done) => {{
            document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
            {send};
        }})"""
    )
    assert blocked == "connect-src"


def test_workers_are_held_by_the_policy_too(visit: Visit) -> None:
    page = visit.page
    page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    visit.reload()
    policy = page.evaluate(
        "() => fetch('worker.js').then((response) => response.headers.get('Content-Security-Policy'))"
    )
    assert "connect-src 'self'" in policy


def test_a_worker_of_the_first_visit_can_ask_no_other_host(
    browser: Any, site: Site, tmp_path: Path, photograph: np.ndarray
) -> None:
    """No service worker is there yet to give it a policy, and a static host gives none."""
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    attempt = """
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => postMessage({ kind: "failed", reason: effectiveDirective }));
        onmessage = () => fetch("http://127.0.0.2:9/").catch(() => {});"""
    page.route("**/worker.js", lambda route: route.fulfill(content_type="text/javascript", body=attempt))
    page.goto(site.address)
    page.locator("#format option").first.wait_for(state="attached")
    page.set_input_files("#files", str(picture("plain", tmp_path, photograph)))
    page.locator("#status", has_text="connect-src").wait_for()
    context.close()


def test_it_loads_less_than_100_kb_before_a_picture(visit: Visit, folder: Path, site: Site) -> None:
    visit.page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    names = {urlparse(url).path.lstrip("/") or "index.html" for url in visit.requests}
    assert {"index.html", "app.js", "style.css", "sw.js"} <= names
    assert sum((folder / name).stat().st_size for name in names) < 100_000
    assert not any("weights" in name or name.endswith(".wasm") for name in names)


def test_it_works_without_a_network(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, site: Site, folder: Path
) -> None:
    page, path = visit.page, picture("plain", tmp_path, photograph)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    visit.enlarge(path)
    base = list((folder / "weights/base").iterdir())
    all_of_it = (
        sum(one.is_file() for one in folder.rglob("*")) - len(base) - 1
    )  # nor the worker itself, nor both modules, but "./"
    kept = "() => caches.keys().then(([name]) => caches.open(name)).then((cache) => cache.keys()).then((all) => all.length)"
    until(page, lambda: page.evaluate(kept) >= all_of_it)
    site.stop()
    visit.reload()
    visit.set("scale", "4")
    visit.set("weights", "photo")
    visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", "4", "--weights", "photo")
    check_equal(pixels_of(saved), expected)

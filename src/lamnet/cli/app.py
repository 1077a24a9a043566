"""`lamnet app`: the page and the HTTP interface of this machine."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from cyclopts import Parameter

from lamnet.base import interrupts
from lamnet.base.extras import require
from lamnet.cli import terminal


def app(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    name: Annotated[list[str] | None, Parameter(negative=())] = None,
    browser: bool = False,
    device: str | None = None,
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    memory: str | None = None,
    workers: int = 1,
    max_pixels: int = 100_000_000,
    max_upload: str = "500MB",
    queue: int = 100,
    time_limit: str = "1h",
    keep: str = "10m",
) -> None:
    """Serve a page on this machine that upscales pictures and videos, and an HTTP interface for programs.

    Prints the page's address. Results are those of `lamnet upscale`; nothing is kept once it is fetched. Ctrl-C ends it.

    Parameters
    ----------
    host
        Address to listen on; by default this machine's programs alone can ask. Any other, such as 0.0.0.0, wants a token,
        which the printed address holds; LAMNET_TOKEN in the environment gives one.
    port
        Port to listen on; 0 takes one that is free.
    name
        Another name by which browsers know this machine, behind a proxy; several times for several.
    browser
        Open the page in the browser.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    precision
        Number format of the network's arithmetic; auto is float32.
    memory
        Memory that each worker may use, such as 2GB; half of what is free when left out, on a CPU at most 2.5 GB.
    workers
        Number of files that are worked on at once; others wait.
    max_pixels
        Largest number of pixels of a picture, all pages together.
    max_upload
        Largest file.
    queue
        Number of files that may wait.
    time_limit
        Time for the work on one file.
    keep
        Time for which a job is kept when nobody asks after it.
    """
    with interrupts.at_once():
        for module in ("starlette", "uvicorn"):
            require(module, "app", "app")
        from lamnet.cli import values
        from lamnet.server.listening import Server
        from lamnet.server.settings import Engine, Limits, Settings

    limits = Limits(
        upload=values.bytes_of(max_upload, "max-upload"),
        queue=queue,
        seconds=values.seconds(time_limit, "time-limit"),
        keep=values.seconds(keep, "keep"),
    )
    engine = Engine(device, precision, None if memory is None else values.bytes_of(memory), max_pixels)
    token = os.environ.get("LAMNET_TOKEN") or None
    server = Server(Settings(host, port, tuple(name or ()), token, workers, engine, limits))
    if server.settings.token:
        terminal.note("whoever has its address can use this machine for pictures; nothing on the way is encrypted")
    terminal.say(server.address)
    if browser:
        import webbrowser

        webbrowser.open(server.address)
    server.run()

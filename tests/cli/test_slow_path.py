"""What the command says where the core's library does not load and PyTorch computes instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lamnet.cli.main import app
from lamnet.core import library
from lamnet.network import runtime
from support.pictures import gradient


@pytest.mark.parametrize("command", ["upscale", "evaluate"])
@pytest.mark.parametrize("reason", ["its kernels do not load: broken", None])
def test_a_core_that_does_not_load_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    reason: str | None,
) -> None:
    (tmp_path / "Set5").mkdir()
    picture = tmp_path / "Set5" / "a.png"
    Image.fromarray(gradient(3)).save(picture)
    monkeypatch.setattr(library, "why_not", lambda: reason)
    monkeypatch.setattr(runtime, "has_gpu", lambda: False)
    monkeypatch.delenv("LAMNET_KERNELS", raising=False)
    monkeypatch.delenv("LAMNET_BACKEND", raising=False)
    given = {"upscale": [str(picture), "--model", "tiny"], "evaluate": ["tiny", "--data", str(tmp_path)]}[command]
    app([command, *given, "--scale", "2"], result_action="return_value")
    said = f"{reason}; PyTorch computes instead, many times slower"
    assert (said in capsys.readouterr().err) is (reason is not None)

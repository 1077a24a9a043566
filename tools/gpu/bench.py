"""`lamnet bench` of ours and of others' networks, in parts, so that what has been timed stays when the time is over."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import torch

from gpu.call import SCALE, Call
from lamnet.base.progress import finish
from lamnet.evaluation.speed import peers, table
from lamnet.evaluation.speed.candidate import Candidate, Setting, plan
from lamnet.evaluation.speed.run import timing

ROUNDS = 5


def bench(call: Call) -> None:
    """Record a table for images, one for patches and training steps, and one of what torch.compile makes of images."""
    setting = Setting(SCALE, (720, 1280), "cuda", torch.get_num_threads())
    own = ["base", "tiny"]
    if call.dry:
        setting, own = replace(setting, output_size=(32, 48), device="cpu"), ["tiny"]
    found: dict[str, Any] = {"tables": {}, "reports": {}}
    for name, candidates in _parts(own, setting.device).items():
        if call.dry:
            candidates = [one for one in candidates if one.precision == "float32" and one.backend != "reference"]
        report = finish(timing(candidates, setting, 1 if call.dry else ROUNDS, memory=not call.dry))
        found["tables"][name] = table.to_markdown(report)
        found["reports"][name] = json.loads(table.to_json(report))
        call.say("bench", found)


def _parts(own: list[str], device: str) -> dict[str, list[Candidate]]:
    """List what is timed, the certain first; speeds are relative to the first of each."""
    images = plan([*own[:1], *peers.NAMES, *own[1:], "fsa-width", "fsa-height"], device)
    compiled = [one for one in images if "compile" in one.how]
    parts = {
        "images": [one for one in images if one not in compiled],
        "patches and training": plan([*own[:1], *peers.NAMES], device, training=True),
        "images, compiled": compiled,
    }
    return {name: candidates for name, candidates in parts.items() if candidates}

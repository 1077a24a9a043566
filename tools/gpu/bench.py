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
    """Record tables, the ones that say most first: a machine that is lent for minutes may not come to the last."""
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
    """List what is timed, the few rows that say most first; speeds are relative to the first of each."""
    images = plan([*own[:1], *peers.NAMES, *own[1:], "fsa-width", "fsa-height"], device)
    compiled = [one for one in images if "compile" in one.how]
    graphs = [one for one in images if one.how == "graph" and one.precision == "bfloat16"]
    parts = {
        "images, bfloat16, as CUDA graphs": graphs,
        "images": [one for one in images if one not in (*compiled, *graphs)],
        "patches and training": plan([*own[:1], *peers.NAMES], device, training=True),
        "images, compiled": compiled,
    }
    return {name: candidates for name, candidates in parts.items() if candidates}

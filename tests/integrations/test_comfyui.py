"""The pack for ComfyUI against stubs of what it uses of ComfyUI's interface (V3: comfy_api.latest, documented at docs.comfy.org)."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import lamnet
from lamnet.core import shipped
from lamnet.network import weights
from support.exports import CONFIGS, lively
from support.peers import real_spandrel

PACK = Path(__file__).parents[2] / "integrations" / "comfyui"


@dataclass
class Input:
    id: str
    options: list[str] | None = None
    default: str | None = None
    tooltip: str | None = None


@dataclass
class Schema:
    """The fields of ComfyUI's that the pack uses; another name fails as it does there."""

    node_id: str
    display_name: str
    category: str
    inputs: list[Input] = field(default_factory=list[Input])
    outputs: list[Any] = field(default_factory=list[Any])
    description: str = ""


class NodeOutput(tuple[Any, ...]):
    def __new__(cls, *values: Any) -> NodeOutput:
        return super().__new__(cls, values)


class Progress:
    made: ClassVar[list[Progress]] = []

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.made.append(self)

    def update(self, value: int) -> None:
        self.done += value


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    return made


@pytest.fixture
def models(tmp_path: Path) -> Path:
    weights.save(lively(CONFIGS["one head, asymmetrical window"]), tmp_path / "own.safetensors")
    (tmp_path / "other.gguf").write_bytes(b"")
    return tmp_path


@pytest.fixture
def pack(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The pack as ComfyUI imports it: a module from its folder."""
    image = SimpleNamespace(Input=Input, Output=lambda: "IMAGE")
    io = SimpleNamespace(
        ComfyNode=object, Schema=Schema, NodeOutput=NodeOutput, Image=image, Combo=SimpleNamespace(Input=Input)
    )
    management = module("comfy.model_management", get_torch_device=lambda: torch.device("cpu"))
    utils = module("comfy.utils", ProgressBar=Progress)
    names = sorted(path.name for path in models.iterdir())
    stubs = [
        module("comfy", model_management=management, utils=utils),
        management,
        utils,
        module("comfy_api"),
        module("comfy_api.latest", ComfyExtension=object, io=io),
        module(
            "folder_paths",
            get_filename_list=lambda kind: names if kind == "upscale_models" else [],
            get_full_path_or_raise=lambda kind, name: str(models / name),
        ),
    ]
    for stub in stubs:
        monkeypatch.setitem(sys.modules, stub.__name__, stub)
    spec = importlib.util.spec_from_file_location("pack", PACK / "__init__.py", submodule_search_locations=[str(PACK)])
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pack", made)
    with real_spandrel() as spandrel:
        spec.loader.exec_module(made)
        made.spandrel_itself = spandrel
        yield made
    sys.modules.pop("pack.nodes")


def node_of(pack: Any) -> Any:
    extension = asyncio.run(pack.comfy_entrypoint())
    (node,) = asyncio.run(extension.get_node_list())
    return node


def test_the_stock_loader_then_knows_lamnet(pack: Any) -> None:
    network = lamnet.load("tiny", 2)
    descriptor = pack.spandrel_itself.ModelLoader().load_from_state_dict(network.state_dict()).eval()
    x = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        assert torch.equal(descriptor(x), network(x).clamp(0, 1))


def test_schema_offers_what_ships_and_the_files(pack: Any) -> None:
    node = node_of(pack)
    schema = node.define_schema()
    image, chosen, parts = schema.inputs
    assert image.id == "image"
    assert set(chosen.options) == {f"{one.model} x{one.scale}" for one in shipped.shipped()} | {"own.safetensors"}
    assert parts.default in parts.options
    assert [one.id for one in schema.inputs] == list(inspect.signature(node.execute).parameters)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_batch_gives_what_the_upscaler_gives(channels: int, pack: Any) -> None:
    image = torch.rand(2, 11, 14, channels)
    (found,) = node_of(pack).execute(image, weights="tiny x2", parts="auto")
    up = lamnet.Upscaler(lamnet.load("tiny", 2), device="cpu")
    expected = np.stack([up(picture.numpy(), white=1.0) for picture in image]).clip(0, 1)
    assert found.shape == (2, 22, 28, channels)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert (Progress.made[-1].total, Progress.made[-1].done) == (2, 2)


def test_a_file_with_another_window_works_in_the_node(pack: Any) -> None:
    (found,) = node_of(pack).execute(torch.rand(1, 6, 7, 3), weights="own.safetensors", parts="exact")
    assert found.shape == (1, 12, 14, 3)
    assert 0 <= found.min() < found.max() <= 1


def test_project_file_names_what_the_registry_wants() -> None:
    project = tomllib.loads((PACK / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"name", "version", "description", "license"} <= project["project"].keys()
    assert {"PublisherId", "DisplayName"} <= project["tool"]["comfy"].keys()
    assert "comfyui" not in project["project"]["name"]
    assert (PACK / "requirements.txt").read_text().split() == project["project"]["dependencies"]

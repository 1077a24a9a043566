"""Upscaler, the public class for arrays and files. It checks arguments and hands them to the modules beside it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Generator, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from lamnet.base import files, locks
from lamnet.base.errors import BadArgumentError
from lamnet.base.progress import finish
from lamnet.core.shipped import Variant, is_name
from lamnet.core.weights import WeightsFile
from lamnet.media import opening
from lamnet.media.picture import Picture
from lamnet.network import catalogue
from lamnet.network.runtime import Precision
from lamnet.upscale import bands, picture, video
from lamnet.upscale.choice import Choice, decide, facts_of
from lamnet.upscale.engines import engine_for
from lamnet.upscale.goal import Goal
from lamnet.upscale.pillow import array_of, is_pillow
from lamnet.upscale.plan import Plan
from lamnet.upscale.planner import Planner
from lamnet.upscale.raster import Raster, raster_of_array

if TYPE_CHECKING:
    import torch

    from lamnet.media.video.clip import Clip
    from lamnet.network.model import LAMNet


class Upscaler:
    """A network made ready on a device.

    Args:
        model: a name that ships ("tiny", "base"; then `scale` is needed), whose weights for clean pictures and for
            photographs are both loaded: each file or array gets those that suit it, see `choice`; or a weights file;
            weights that have been read (`core.weights.load`); or a network in PyTorch, as from `lamnet.load`, which is
            copied. Names, files and weights run without PyTorch on a processor.
        device: "cpu", "cuda", "cuda:1", "mps"; None takes the best there is. All but the processor take PyTorch.
        precision: of the network's arithmetic; "auto" is float32.
        tile: LR pixels a side of the parts that a picture is cut into; "auto" takes the whole picture where it fits into
            `memory`, else the largest tiles that do; None never cuts.
        memory: bytes that the process may use in all; None is half of what is free, on a CPU at most 2.5 GB.
        exact: make cut pictures equal the uncut ones to 1e-4, for more time and disk space. Without it that is done only
            for networks whose tiles would visibly differ.
        ensemble: return the mean over eight flips and rotations, for eight times the time.
        goal: a `lamnet.Goal`, the size to which results are reduced; None keeps that of the network's scale.
        max_pixels: of one input file, all pages together; a file whose header claims more is refused.
        photo: another network of the same scale beside one that is no name, for pictures with traces of JPEG, noise or a
            soft lens.
        scale: of a name; with a file it is checked against the file's own. At 1 pictures are restored and not enlarged.
        weights: "clean" or "photo", those of a name that all pictures get.
        strength: 0 (clean) to 1 (photo): all pictures get a mix of both weights of a name.

    Raises:
        BackendError: the device or precision cannot be used here.
        BadWeightsError: there is no such name or file, or it holds no whole LAMNet, or one for another scale.
        MissingExtraError: the device, the precision or the file takes PyTorch, which is not installed.
        BadArgumentError: an argument is no valid value, or two that exclude each other are given.
    """

    def __init__(
        self,
        model: LAMNet | WeightsFile | str | Path,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        tile: int | Literal["auto"] | None = "auto",
        memory: int | None = None,
        exact: bool = False,
        ensemble: bool = False,
        goal: Goal | None = None,
        max_pixels: int = opening.MAX_PIXELS,
        photo: LAMNet | WeightsFile | None = None,
        scale: int | None = None,
        weights: Variant | None = None,
        strength: float | None = None,
    ) -> None:
        if isinstance(device, int):  # torch would take it as a number of GPUs
            raise BadArgumentError(
                f'device: expected a name such as "cpu", got {device!r}; a scale has to be named, scale={device!r}'
            )
        if exact and ensemble:
            raise BadArgumentError("ensemble: expected it without exact, got both")
        if precision not in get_args(Precision):
            raise BadArgumentError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision}")
        if not (tile in ("auto", None) or _is_count(tile)):
            raise BadArgumentError(f"tile: expected a number of pixels, 1 or more, got {tile!r}")
        if not (memory is None or _is_count(memory)):
            raise BadArgumentError(f"memory: expected a number of bytes, got {memory!r}")
        if not _is_count(max_pixels):
            raise BadArgumentError(f"max_pixels: expected a number of pixels, got {max_pixels!r}")
        if goal is not None:
            _check_is("goal", goal, Goal)
        if isinstance(model, (str, Path)):
            if photo is not None and is_name(model):
                raise BadArgumentError(f"photo: expected it beside a network, got it beside the name {model}")
            networks = catalogue.load_both(model, scale, weights, strength)
            model, photo = networks.network, photo or networks.photo
        else:
            for name, value in (("scale", scale), ("weights", weights), ("strength", strength)):
                if value is not None:
                    raise BadArgumentError(f"{name}: expected it with a name or a file, got it with a network")
        pixels = tile if tile == "auto" or tile is None else int(tile)
        bytes_in_all = None if memory is None else int(memory)
        engines = {"clean": engine_for(model, device, precision, ensemble)}
        if photo is not None:
            engines["photo"] = engine_for(photo, device, precision, ensemble, "photo")
        self.planners = {
            variant: Planner(engine, pixels, bytes_in_all, exact, goal) for variant, engine in engines.items()
        }
        self.planner = self.planners["clean"]
        self.engine = self.planner.engine
        self.scale = self.engine.scale
        if any(planner.engine.scale != self.scale for planner in self.planners.values()):
            other = self.planners["photo"].engine.scale
            raise BadArgumentError(f"photo: expected a network of scale {self.scale} as the other, got {other}")
        self.max_pixels = max_pixels

    def __call__(
        self, array: NDArray[Any], size: tuple[int, int] | None = None, white: float | None = None
    ) -> NDArray[Any]:
        """Upscale (H, W) or (H, W, bands): grey, grey and alpha, RGB, RGB and alpha, as uint8, uint16 or float32.

        Args:
            array: the pixels, or an image of Pillow's, whose palette is looked up.
            size: (width, height) of the result; when left out the goal's, or the network's scale times that of the array.
            white: the number that stands for white and for opaque; 0 stands for black. When left out, 255 for uint8; for
                uint16 the largest number of the bits that the array uses (1023 for ten bits); 1 for floats, and for those
                beyond 0 or 1 the range that they span, outliers aside.

        Returns the result in the same dtype and with the same bands. Raises BadArgumentError for another shape, dtype, size
        or white.
        """
        if size is not None and not _is_size(size):
            raise BadArgumentError(f"size: expected a width and a height in pixels, got {size!r}")
        if white is not None and not (isinstance(white, Real) and 0 < white < math.inf):
            raise BadArgumentError(f"white: expected a number above 0, got {white!r}")
        array = _array_of(array)
        raster = raster_of_array(array[..., None] if array.ndim == 2 else array, white)
        if size is None:
            size = self.planner.result_size(raster.width, raster.height)
        else:
            self.planner.check_within(size, raster.width, raster.height)
        planner, scratch = self.planner_for(self.choice(raster)), Path(tempfile.gettempdir())
        out = bands.in_memory(planner.engine, planner.plan_for(raster), raster, (size[0], size[1]), scratch)
        return out[..., 0] if array.ndim == 2 else out

    def file(self, source: Path | str, target: Path | str) -> tuple[str, ...]:
        """Upscale a picture or video file into another, whose name says the format; it appears whole or not at all.

        Depth, profile, alpha, EXIF, XMP, resolution, pages and timing are kept; of videos everything but the pictures. An
        interrupted video continues where it was.

        Returns what the result does not carry over from its source, or what was done to it besides, a line each. Raises
        BadImageError when the source is no whole picture or video, or the target cannot be written or cannot hold the result.
        """
        source, target = Path(source), Path(target)
        files.check_apart(source, target)
        opened = self._opened(source)
        with locks.in_turn(target):
            return finish(self.steps(opened, target))

    def steps(
        self, opened: Picture | Clip, target: Path, choice: Choice | None = None
    ) -> Generator[float, None, tuple[str, ...]]:
        """Do what `file` does to an opened file, stopping after every part of the work to say how much is done, 0 to 1.

        Returns what the result does not carry over from its source, or what was asked for and not done, a line each.

        The choice is that of `choice`, which looks for itself where it is left out.
        """
        planner = self.planner_for(choice or self.choice(opened))
        if isinstance(opened, Picture):
            return picture.steps(planner, opened, target)
        return video.steps(planner, opened, target)

    def choice(self, source: Picture | Clip | Raster | Path | str | NDArray[Any]) -> Choice | None:
        """Choose the network for a source, a file or an array too; None where there is only one.

        Its `variant` is "clean" or "photo", its `reason` what the file says or was measured. Raises BadImageError for a
        file that is no picture or video, or a truncated one, BadArgumentError for an array that cannot be upscaled.
        """
        if len(self.planners) == 1:
            return None
        if isinstance(source, (str, Path)):
            source = self._opened(Path(source))
        elif isinstance(source, np.ndarray) or is_pillow(source):
            array = _array_of(source)
            source = raster_of_array(array[..., None] if array.ndim == 2 else array)
        return decide(facts_of(source))

    def _opened(self, source: Path) -> Picture | Clip:
        if source.suffix.lower() in video.SUFFIXES:
            return video.open_clip(source, self.max_pixels)
        return opening.open_picture(source, self.max_pixels)

    def planner_for(self, choice: Choice | None) -> Planner:
        """Return the planner of the network that was chosen."""
        return self.planner if choice is None else self.planners[choice.variant]

    def result_size(self, width: int, height: int) -> tuple[int, int]:
        """Compute the (width, height) of the result of a picture of this size.

        Raises BadArgumentError when that is more than the network's scale gives.
        """
        if not _is_size((width, height)):
            raise BadArgumentError(f"size: expected a width and a height in pixels, got {width}, {height}")
        return self.planner.result_size(width, height)

    def plan(self, height: int, width: int) -> Plan:
        """Plan a picture of this size. Raises BadArgumentError when memory is too little."""
        return self.planner.plan(height, width)


def _array_of(array: Any) -> NDArray[Any]:
    """Take what NumPy can, or an image of Pillow's. Raises BadArgumentError for anything else, and for masked pixels."""
    if np.ma.is_masked(array):
        raise BadArgumentError(
            "array: expected one without masked pixels, which would count; filled() gives them values"
        )
    try:
        return array_of(array) if is_pillow(array) else np.asarray(array)
    except RuntimeError as error:  # a tensor that has a gradient, or is not on the CPU
        raise BadArgumentError(f"array: expected what NumPy can take, got {type(array).__name__}: {error}") from error


def _is_size(size: object) -> bool:
    sides = cast("Sequence[object]", size) if isinstance(size, (tuple, list)) else ()
    return len(sides) == 2 and all(map(_is_count, sides))


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and bool(value > 0)


def _check_is(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise BadArgumentError(f"{name}: expected a {kind.__name__}, got {value!r:.40}")

"""Files of torch.save, read without running code and without taking much more memory than their size."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from lamnet.base.errors import BadWeightsError
from lamnet.base.files import naming_errors
from lamnet.core.weights import is_checkpoint

_MAX_PICKLE = 4_000_000  # bytes of the structure around the tensors; that of a network with its optimiser has 500,000
_MAX_STEPS = 1_000_000  # instructions in it
_ZIP = b"PK\x03\x04"  # by which PyTorch, too, tells its formats apart
_PICKLES = 5  # of a file in the format before PyTorch 1.6: magic, protocol, system, content, keys
_GROWING = ("bytearray", "Counter", "set")  # they can make large objects from few bytes; no state dict needs them
_HOW = "save only the tensors: torch.save(network.state_dict(), ...), or lamnet.save(network, ...)"


def read(path: Path) -> Any:
    """Read the content of a file of torch.save, on the CPU.

    Raises BadWeightsError for a damaged file, one that would run code or unpack to more than its size, or one that holds
    anything but tensors, numbers and text.
    """
    try:
        with naming_errors(path, "cannot be read", BadWeightsError):
            _check(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch asks for issues about protocols of others' pickles
                with path.open("rb") as file:  # a path would be judged by its name
                    return torch.load(file, map_location="cpu", weights_only=True)
    except BadWeightsError:
        raise
    except Exception as error:  # torch.load does not say which errors a malformed file may raise
        # Not `from error`: PyTorch's words advise to load the file unsafely.
        if isinstance(error, pickle.UnpicklingError) and is_checkpoint(path):
            raise BadWeightsError(
                f"{path}: expected a PyTorch checkpoint, found something other than plain tensors, refused; {_HOW}"
            ) from None
        raise BadWeightsError(
            f"{path}: expected a PyTorch checkpoint, found a damaged file ({type(error).__name__})"
        ) from None


def _check(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = io.BytesIO(file.read(_MAX_PICKLE))
    if not start.getvalue().startswith(_ZIP):
        for _ in range(_PICKLES):
            if not _check_pickle(path, start, size):
                return
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > size:
            raise BadWeightsError(
                f"{path}: expected a PyTorch checkpoint, found one that unpacks to more than its size"
            )
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                if entry.file_size > _MAX_PICKLE:
                    raise BadWeightsError(f"{path}: expected tensors, found {entry.file_size} bytes around them")
                _check_pickle(path, io.BytesIO(archive.read(entry)), size)


def _check_pickle(path: Path, content: io.BytesIO, size: int) -> bool:
    """Check one pickle up to its end; return False where there is none."""
    steps = 0
    try:
        for code, argument, _ in pickletools.genops(content):
            steps += 1
            if steps > _MAX_STEPS:
                raise BadWeightsError(f"{path}: expected tensors, found more than {_MAX_STEPS} other things")
            if code.name == "GLOBAL" and (name := str(argument).rpartition(" ")[2]) in _GROWING:
                raise BadWeightsError(f"{path}: expected plain tensors, found a {name}, refused; {_HOW}")
    except (ValueError, IndexError, UnicodeError, EOFError, OverflowError):
        return False
    return steps > 0 and content.tell() <= size

"""Store weights in half precision: `python tools/halve_weights.py FILE...` writes each safetensors file anew as float16.

What reads weights makes float32 of them again. The header stays. docs/log/kernels.md has what it costs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lamnet.base.errors import BadWeightsError
from lamnet.base.files import appearing

LENGTH = 8  # bytes of the number that says how long the header is


def halved(data: bytes) -> bytes:
    """Return a safetensors file with its float32 tensors as float16. Raises ValueError where a number is too large for it."""
    start = LENGTH + int.from_bytes(data[:LENGTH], "little")
    header: dict[str, Any] = json.loads(data[LENGTH:start])
    parts: list[bytes] = []
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])[0]):
        if name == "__metadata__":
            continue
        first, last = (start + offset for offset in tensor["data_offsets"])
        part = data[first:last]
        if tensor["dtype"] == "F32":
            with np.errstate(over="ignore"):
                half = np.frombuffer(part, "<f4").astype("<f2")
            if not np.isfinite(half).all():
                raise ValueError(f"a number beyond float16 in {name}")
            tensor["dtype"], part = "F16", half.tobytes()
        parts.append(part)
        tensor["data_offsets"] = [end, end := end + len(part)]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH)
    return b"".join([len(text).to_bytes(LENGTH, "little"), text, *parts])


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        before = path.read_bytes()
        try:
            after = halved(before)
        except ValueError as error:
            sys.exit(f"{path}: expected weights that float16 can hold, found {error}")
        with appearing(path, BadWeightsError) as partial:
            partial.write_bytes(after)
        print(f"{path}: {len(before):,} bytes, now {len(after):,}")


if __name__ == "__main__":
    main()

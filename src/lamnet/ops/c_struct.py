"""C structs with named, typed fields for ctypes; without PyTorch."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, dataclass_transform, get_type_hints

Address = Annotated[int, ctypes.c_void_p]
"""The address of memory that must outlive the call, as from `Tensor.data_ptr`."""

Int64s = ctypes.Array[ctypes.c_int64]
"""An array of int64 that a struct keeps alive."""


def int64s(numbers: Sequence[int]) -> Int64s:
    return (ctypes.c_int64 * len(numbers))(*numbers)


@dataclass_transform(kw_only_default=True)
class Struct(ctypes.Structure):
    """A struct whose fields are its annotations, in their order; every field is given by name.

    An int becomes an int64, an Address or Int64s a pointer, None the null pointer; another struct is copied in. The name in
    C is that of the class in lower case: FocalWeights is focal_weights. Pyright checks that no field is left out; ctypes
    would take it for zero.
    """

    c_name: ClassVar[str]

    @classmethod
    def lay_out(cls) -> None:
        """Make C fields of the annotations, once, before the first use and before the next struct."""
        kinds = get_type_hints(cls, include_extras=True)
        cls.c_name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        cls._fields_ = [(name, _ctype(kinds[name])) for name in cls.__annotations__]


def _ctype(kind: object) -> Any:
    if kind is int:
        return ctypes.c_int64
    if kind == Int64s:
        return ctypes.POINTER(ctypes.c_int64)
    return kind if isinstance(kind, type) and issubclass(kind, Struct) else ctypes.c_void_p

"""Which build a processor runs: `level.c`, asked of processors and systems that are made up."""

from __future__ import annotations

import ctypes
import platform
import sys
from dataclasses import astuple, dataclass, replace
from functools import reduce
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import check_wheels
from lamnet.core.builds import LEVELS
from support.tile_products import FLOAT32, Onto, Rows

SOURCES = Path(__file__).parents[2] / "src/lamnet/ops/csrc"
MADE_UP = """
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct { unsigned c1, c_extended, a7, b7, d7, a7_1, registers, refused; } processor;
static processor p;
int asked;

static int leaf(unsigned number, unsigned part, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    if (number == 1) *c = p.c1;
    else if (number == 0x80000001) *c = p.c_extended;
    else if (number == 7 && part) *a = p.a7_1;
    else if (number == 7) *a = p.a7, *b = p.b7, *d = p.d7;
    return 1;
}

static long permission(long call, long what, long which) {
    asked++;
    return call == 158 && what == 0x1023 && which == 18 && !p.refused ? 0 : -1;
}

#define __get_cpuid(number, ...) leaf(number, 0, __VA_ARGS__)
#define __get_cpuid_count leaf
#define __asm__(...) low = p.registers, high = 0
#define syscall permission
#include "level.c"

int level(const processor *of) { return asked = 0, p = *of, lamnet_level(); }
"""


def bits(*numbers: int) -> int:
    return reduce(lambda found, number: found | 1 << number, numbers, 0)


@dataclass(frozen=True)
class Processor:
    """What cpuid and xgetbv tell; each field has the bits of one with AMX, by the manuals of Intel and AMD."""

    c1: int = bits(12, 22, 27, 28, 29)  # FMA, MOVBE, OSXSAVE, AVX, F16C
    c_extended: int = bits(5)  # LZCNT
    a7: int = 1  # there is a second part of leaf 7
    b7: int = bits(3, 5, 8, 16, 17, 28, 30, 31)  # BMI1, AVX2, BMI2, AVX-512 F, DQ, CD, BW, VL
    d7: int = bits(22, 24)  # AMX-BF16, AMX-TILE
    a7_1: int = bits(5)  # AVX512-BF16
    registers: int = bits(0, 1, 2, 5, 6, 7, 17, 18)  # saved: those of SSE, AVX, AVX-512 (three), AMX (two)
    refused: int = 0


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if (
        (sys.platform, platform.machine()) != ("linux", "x86_64")
        or find_spec("ziglang") is None
        or not SOURCES.exists()
    ):
        pytest.skip("needs Linux on x86-64, ziglang and the library's sources")
    folder = tmp_path_factory.mktemp("level")
    (folder / "made_up.c").write_text(MADE_UP)
    words = ("-O1", "-fPIC", "-shared", f"-I{SOURCES}", folder / "made_up.c")
    return ctypes.CDLL(str(check_wheels.compiled(folder / "level.so", "manylinux_x86_64", *words)))


def without(field: str, bit: int) -> Processor:
    return replace(Processor(), **{field: getattr(Processor(), field) & ~(1 << bit)})


@pytest.mark.thorough
@pytest.mark.parametrize(("rows", "vectors"), [(6, 1), (1, 2), (2, 3), (7, 4)])
def test_products_are_whole_whatever_stays_in_registers(rows: int, vectors: int, tmp_path: Path) -> None:
    if (
        platform.machine() != "x86_64"
        or sys.platform != "linux"
        or find_spec("ziglang") is None
        or not SOURCES.exists()
    ):
        pytest.skip("needs Linux on x86-64, ziglang and the library's sources")
    for source in [*SOURCES.glob("*.h"), SOURCES / "gemm.c"]:
        text = source.read_text()
        if source.name == "processor.h":
            plain = "PRODUCT_ROWS = 2, VECTORS = 1,"
            assert plain in text
            text = text.replace(plain, f"PRODUCT_ROWS = {rows}, VECTORS = {vectors},")
        (tmp_path / source.name).write_text(text)
    words = ("-O1", "-fPIC", "-shared", tmp_path / "gemm.c")
    gemm = ctypes.CDLL(str(check_wheels.compiled(tmp_path / "gemm.so", "manylinux_x86_64", *words))).gemm_onto
    size, address = ctypes.c_int64, ctypes.c_void_p
    gemm.argtypes, gemm.restype = [address, size, Rows, address, size, address, Onto, size, size], None
    rng = np.random.default_rng(0)
    for columns in range(16, 129, 16):
        x, w = rng.standard_normal((9, 5), np.float32), rng.standard_normal((5, columns), np.float32)
        start, out = rng.standard_normal(columns, np.float32), np.full((9, columns), np.nan, np.float32)
        operand = Rows(x.ctypes.data, 5, 1, 0)
        others = rng.standard_normal((9, columns), np.float32)
        for onto, more in ((Onto(None, 0, FLOAT32), 0), (Onto(others.ctypes.data, columns, FLOAT32), others)):
            gemm(out.ctypes.data, columns, operand, w.ctypes.data, columns, start.ctypes.data, onto, 9, 5)
            np.testing.assert_allclose(out, start + x @ w + more, rtol=1e-5, atol=1e-5)


@pytest.mark.thorough
def test_levels(level: ctypes.CDLL) -> None:
    def name(of: Processor) -> tuple[str, int]:
        found = level.level((ctypes.c_uint32 * 8)(*astuple(of)))
        return list(LEVELS["x86_64"])[found], ctypes.c_int.in_dll(level, "asked").value

    assert name(Processor()) == ("x86_64_v4_amx", 1)
    assert name(replace(Processor(), refused=1)) == ("x86_64_v4_bf16", 1)
    for field, bit in [("d7", 22), ("d7", 24), ("registers", 17), ("registers", 18)]:
        assert name(without(field, bit)) == ("x86_64_v4_bf16", 0)
    for field, bit in [("a7_1", 5), ("a7", 0)]:
        assert name(without(field, bit)) == ("x86_64_v4", 0)
    for field, bit in [*(("b7", bit) for bit in (16, 17, 28, 30, 31)), *(("registers", bit) for bit in (5, 6, 7))]:
        assert name(without(field, bit)) == ("x86_64_v3", 0)
    fields = {"c1": (12, 22, 27, 28, 29), "c_extended": (5,), "b7": (3, 5, 8), "registers": (1, 2)}
    for field, numbers in fields.items():
        for bit in numbers:
            assert name(without(field, bit)) == ("x86_64", 0)

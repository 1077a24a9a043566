"""Scripts for the page's modules under Node: what they begin with, and arrays in the JSON that goes in and comes out."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

Node = Callable[..., Any]  # the fixture of tests/web/conftest.py

RUN = """
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { alone, NoMemory } from "PAGE/core.js";
const at = (name) => new URL(`PAGE/${name}`);
const networks = JSON.parse(readFileSync(at("networks.json")));
let tasks = 0;
const core = await alone(new WebAssembly.Module(readFileSync(at("core.wasm"))), () => tasks++);
const numbers = (entry) => new Float32Array(new Uint8Array(inflateSync(readFileSync(at(entry.file)))).buffer);
const find = ([size, scale, variant]) => networks.find((n) => n.size === size && n.scale === scale && n.variant === variant);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
"""


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpacked(text: str, shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)

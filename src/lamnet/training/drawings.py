"""Text, flat graphics and textures drawn by code, so that a training has logos and screenshots as well as photographs.

They are drawn at four times their size and reduced by means over 4x4 pixels, so that edges are band-limited as those of a
rasteriser are: hard steps would teach a network to alias. The dead leaves are those of Lee, Mumford and Huang (2001); networks
trained on them alone come near those of photographs, and mixed with photographs they do no harm (Achddou et al. 2021).
"""

from __future__ import annotations

import math
import string
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_FINER = 4
_UNITS = 128  # a side; the finest lines are as wide as one
_LETTERS = string.ascii_lowercase * 4 + string.ascii_uppercase + string.digits + ".,:;!?()+-/&%"

Colour = tuple[int, int, int]
Generator = np.random.Generator


def drawing(side: int, generator: Generator) -> NDArray[np.uint8]:
    """Draw a picture (side, side, 3) of a random kind; details grow with the side."""
    canvas = Image.new("RGB", (side * _FINER, side * _FINER), _colour(generator))
    kinds = (_text, _text, _interface, _shapes, _lines, _perspective, _gradient, _leaves)
    kinds[generator.integers(len(kinds))](canvas, generator)
    return np.asarray(canvas.reduce(_FINER))


def _text(canvas: Image.Image, generator: Generator) -> None:
    """Lines of text of one size, dark on light or light on dark or in colours."""
    paper, ink = _contrast(generator)
    canvas.paste(paper, (0, 0, *canvas.size))
    _write(canvas, (0, 0, *canvas.size), ink, generator)


def _interface(canvas: Image.Image, generator: Generator) -> None:
    """Rectangles with frames and text, as in a window."""
    pen, side = ImageDraw.Draw(canvas), canvas.width
    canvas.paste(_grey(generator, 200, 256), (0, 0, side, side))
    for _ in range(generator.integers(3, 9)):
        box = _box(side, generator)
        paper, ink = _contrast(generator)
        width = round(_unit(canvas) * generator.integers(0, 3))
        radius = int(_unit(canvas) * generator.choice([0, 0, 4, 8, 16]))
        pen.rounded_rectangle(box, min(radius, (box[2] - box[0]) // 2, (box[3] - box[1]) // 2), paper, ink, width)
        if generator.random() < 0.6:
            _write(canvas, box, ink, generator)


def _shapes(canvas: Image.Image, generator: Generator) -> None:
    """Flat ellipses, rectangles and polygons, some with an outline, as in a logo."""
    pen, side = ImageDraw.Draw(canvas), canvas.width
    for _ in range(generator.integers(2, 14)):
        fill, outline, width = (
            _colour(generator),
            _colour(generator),
            round(_unit(canvas) * generator.choice([0, 0, 0, 1, 2, 4])),
        )
        kind = generator.integers(3)
        if kind == 0:
            pen.ellipse(_box(side, generator), fill, outline, width)
        elif kind == 1:
            pen.rectangle(_box(side, generator), fill, outline, width)
        else:
            pen.polygon(_polygon(side, generator), fill, outline, width)


def _lines(canvas: Image.Image, generator: Generator) -> None:
    """Lines and arcs of all directions, or parallel ones, as in drawings and plots."""
    pen, side = ImageDraw.Draw(canvas), canvas.width
    paper, ink = _contrast(generator)
    canvas.paste(paper, (0, 0, side, side))
    if generator.random() < 0.4:
        _stripes(pen, side, ink, generator)
        return
    for _ in range(generator.integers(4, 30)):
        colour = ink if generator.random() < 0.7 else _colour(generator)
        width = round(_unit(canvas) * 8 ** generator.random())
        if generator.random() < 0.7:
            pen.line([tuple(point) for point in generator.uniform(-0.2, 1.2, (2, 2)) * side], colour, width)
        else:
            start = generator.uniform(0, 360)
            pen.arc(_box(side, generator), start, start + generator.uniform(30, 330), colour, width)


def _stripes(pen: ImageDraw.ImageDraw, side: int, ink: Colour, generator: Generator) -> None:
    """Parallel lines at a random angle and distance, at times crossed by others."""
    for angle in generator.uniform(0, math.pi, generator.integers(1, 3)):
        along = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([-along[1], along[0]])
        distance = side / _UNITS * math.exp(generator.uniform(math.log(3), math.log(24)))
        width = max(2, round(distance * generator.uniform(0.15, 0.6)))
        for k in range(-round(side / distance), round(side / distance) + 1):
            middle = side / 2 + k * distance * across
            pen.line([tuple(middle - side * along), tuple(middle + side * along)], ink, width)


def _perspective(canvas: Image.Image, generator: Generator) -> None:
    """A grid of cells or a checkerboard on a plane seen at an angle, as facades and floors are."""
    paper, ink = _contrast(generator)
    pen, side = ImageDraw.Draw(canvas), canvas.width
    canvas.paste(paper, (0, 0, side, side))
    cells, checked = int(generator.integers(4, 20)), generator.random() < 0.4
    inset = 0.0 if checked else generator.uniform(0.05, 0.4)
    angle, vanishing = generator.uniform(0, 2 * math.pi), generator.uniform(-0.35, 0.35, 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    for row, column in np.ndindex(cells, cells):
        if checked and (row + column) % 2:
            continue
        low, high = np.array([column, row]) + inset, np.array([column, row]) + 1 - inset
        flat = np.array([low, (high[0], low[1]), high, (low[0], high[1])]) * (2 / cells) - 1
        seen = flat @ turn / (1 + flat @ vanishing)[:, None]
        pen.polygon([(x, y) for x, y in (seen * 0.8 + 0.5) * side], ink)


def _gradient(canvas: Image.Image, generator: Generator) -> None:
    """A linear or radial gradient of two or three colours under a few shapes or a word."""
    side = canvas.width // _FINER
    y, x = np.indices((side, side)) / side
    if generator.random() < 0.6:
        angle = generator.uniform(0, 2 * math.pi)
        t = x * math.cos(angle) + y * math.sin(angle)
    else:
        t = np.hypot(x - generator.random(), y - generator.random())
    share: NDArray[np.float64] = (t - t.min()) / (t.max() - t.min())
    stops = [_colour(generator) for _ in range(generator.integers(2, 4))]
    places = np.linspace(0, 1, len(stops))
    values = np.empty((side, side, 3))
    for band, levels in enumerate(zip(*stops, strict=True)):
        values[..., band] = np.interp(share, places, levels)
    smooth = Image.fromarray((values + 0.5).astype(np.uint8))
    canvas.paste(smooth.resize(canvas.size, Image.Resampling.BILINEAR), (0, 0))
    for _ in range(generator.integers(0, 3)):
        ImageDraw.Draw(canvas).ellipse(_box(canvas.width, generator), _colour(generator))
    if generator.random() < 0.5:
        _write(canvas, _box(canvas.width, generator), _colour(generator), generator)


def _leaves(canvas: Image.Image, generator: Generator) -> None:
    """Dead leaves: discs and polygons that hide each other, their radii by a power law of exponent 3."""
    pen, side = ImageDraw.Draw(canvas), canvas.width
    base, spread = generator.uniform(0, 255, 3), generator.uniform(10, 90)
    smallest, largest = 2 * _unit(canvas), side / 3
    count = 500
    shares = generator.random(count)
    radii = (smallest**-2 + shares * (largest**-2 - smallest**-2)) ** -0.5
    centres = generator.uniform(0, side, (count, 2))
    colours = (base + generator.normal(0, spread, (count, 3)) + generator.normal(0, 40, (count, 1))).clip(0, 255)
    order = np.argsort(
        -radii * generator.uniform(0.5, 2, count)
    )  # roughly the large ones first, so that all sizes stay
    for i in order:
        (x, y), radius, colour = centres[i], float(radii[i]), tuple(int(value) for value in colours[i])
        if i % 3:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
        else:
            pen.regular_polygon((x, y, radius), int(3 + i % 4), float(shares[i] * 360), colour)


def _write(canvas: Image.Image, box: tuple[int, int, int, int], ink: Colour, generator: Generator) -> None:
    """Fill a box with words."""
    size = round(2 ** (generator.integers(12, 23) / 4) * _unit(canvas))  # 8 to 45
    font = _font(size)
    bold = int(generator.random() < 0.3) * max(1, size // 24)
    layer = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    pen = ImageDraw.Draw(layer)
    top = generator.uniform(-0.5, 0.5) * size
    while top < layer.height:
        words = _words(int(layer.width / size * 2) + 2, generator)
        pen.text((generator.uniform(-0.5, 1) * size, top), words, 255, font, stroke_width=bold)
        top += size * generator.uniform(1.1, 1.6)
    canvas.paste(ink, box, layer)


def _words(count: int, generator: Generator) -> str:
    letters = [_LETTERS[i] for i in generator.integers(len(_LETTERS), size=count)]
    spaces = generator.random(count) < 0.17
    return "".join(" " if space else letter for space, letter in zip(spaces, letters, strict=True))


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _contrast(generator: Generator) -> tuple[Colour, Colour]:
    """Draw two colours that differ: grey in half of the cases, as paper and ink."""
    if generator.random() < 0.5:
        pair = _grey(generator, 190, 256), _grey(generator, 0, 110)
    else:
        pair = _colour(generator), _colour(generator)
        if abs(sum(pair[0]) - sum(pair[1])) < 150:
            dark = sum(pair[0]) < 384
            pair = pair[0], _grey(generator, 200, 256) if dark else _grey(generator, 0, 60)
    return pair if generator.random() < 0.7 else (pair[1], pair[0])


def _grey(generator: Generator, low: int, high: int) -> Colour:
    level = int(generator.integers(low, high))
    return level, level, level


def _colour(generator: Generator) -> Colour:
    """Draw any colour; in a quarter of the cases each channel is black or full."""
    values = generator.integers(0, 256, 3)
    if generator.random() < 0.25:
        values = (values > 127) * 255
    red, green, blue = (int(value) for value in values)
    return red, green, blue


def _unit(canvas: Image.Image) -> float:
    """Return the width of the finest lines, pixels of the canvas."""
    return canvas.width / _UNITS


def _box(side: int, generator: Generator) -> tuple[int, int, int, int]:
    """Draw a box that reaches beyond the canvas at most by a quarter."""
    width, height = generator.uniform(0.1, 0.8, 2) * side
    left, top = generator.uniform(-0.25, 1, 2) * side
    return int(left), int(top), int(left + width), int(top + height)


def _polygon(side: int, generator: Generator) -> list[tuple[float, float]]:
    """Draw a star-shaped polygon of 3 to 8 corners."""
    corners = int(generator.integers(3, 9))
    angles = np.sort(generator.uniform(0, 2 * math.pi, corners))
    radii = generator.uniform(0.1, 0.5, corners) * side
    x, y = generator.uniform(0, side, 2)
    return [(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]

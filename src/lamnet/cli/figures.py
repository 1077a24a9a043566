"""The verbs of `lamnet figures`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lamnet.cli.terminal import one_line, shown

app = App(name="figures", help="Draw the figures of a paper, one column wide: PNG or PDF.")

Corners = tuple[int, int, int, int]
Out = Annotated[Path, Parameter(alias="-o")]


@app.command
def compare(
    picture: Path,
    models: list[str],
    /,
    *,
    out: Out,
    scale: int = 4,
    region: Annotated[Corners | None, Parameter(negative=())] = None,
    device: str | None = None,
) -> None:
    """Crops of a region in HR, bicubic and models, with PSNR and SSIM on Y of the crop, and the whole picture.

    Parameters
    ----------
    picture
        The HR picture; LR is made of it.
    models
        tiny, base, large, weights files, spandrel:FILE, or a picture that somebody's network made of the same LR.
        LABEL=MODEL says what the figure calls it.
    out
        The figure, a .png or .pdf.
    scale
        How many times as wide and high.
    region
        Left, top, width and height in HR pixels; where the models differ most when left out.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import compare as figure
    from lamnet.figures.region import Region

    found = shown(figure.creating(picture, models, scale, Region(*region) if region else None, out, device))
    box = found.region
    print(f"{'region':24} {box.left} {box.top} {box.width} {box.height}")
    for crop in found.crops:
        print(f"{one_line(crop.name):24} {crop.psnr:.4f} dB  {crop.ssim:.6f}")


@app.command
def attribution(
    picture: Path, models: list[str], /, *, region: Corners, out: Out, scale: int = 4, device: str | None = None
) -> None:
    """Local attribution maps (Gu and Dong 2021): the LR pixels that a region of the output depends on.

    Prints the diffusion index of each model: the larger, the more pixels take part.

    Parameters
    ----------
    picture
        The HR picture; LR is made of it.
    models
        tiny, base, large, weights files, or spandrel:FILE; LABEL=MODEL says what the figure calls it.
    region
        Left, top, width and height in HR pixels.
    out
        The figure, a .png or .pdf.
    scale
        How many times as wide and high.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import attribution as figure
    from lamnet.figures.region import Region

    found = shown(figure.creating(picture, models, scale, Region(*region), out, device))
    for label, one in found.items():
        print(f"{one_line(label):24} {one.diffusion_index:.3f}")


@app.command
def receptive_field(
    pictures: Path, models: list[str], /, *, out: Out, scale: int = 4, size: int = 65, device: str | None = None
) -> None:
    """Effective receptive fields: the LR pixels that the centre of the output depends on, averaged over pictures.

    Prints, for each model, the sides of the squares that hold 20, 30, 50 and 99 % of the gradient, and their areas as a
    part of the crop.

    Parameters
    ----------
    pictures
        An HR picture, or a folder of them; LR is made of them.
    models
        tiny, base, large, weights files, or spandrel:FILE; LABEL=MODEL says what the figure calls it.
    out
        The figure, a .png or .pdf.
    scale
        How many times as wide and high.
    size
        Side of the LR crops in the pictures' centres, odd.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import receptive_field as figure

    found = shown(figure.creating(pictures, models, scale, out, size, device))
    for label, field in found.items():
        squares = (
            f"{share:.0%} {side}x{side} {ratio:.2%}"
            for share, side, ratio in zip(figure.SHARES, field.sides, field.area_ratios, strict=True)
        )
        print(f"{one_line(label):24} {'  '.join(squares)}")


@app.command
def curve(runs: list[Path], /, *, out: Out, against: Literal["step", "time"] = "step") -> None:
    """Training curves: validation PSNR, loss and learning rate of runs.

    Parameters
    ----------
    runs
        Folders that `lamnet train` wrote to.
    out
        The figure, a .png or .pdf.
    against
        Steps, or hours of training.
    """
    from lamnet.figures import curve as figure

    for label, lines in figure.create(runs, out, against).items():
        best = max((line["psnr_y"] for line in lines if "psnr_y" in line), default=None)
        print(f"{one_line(label):24} step {lines[-1]['step']}" + ("" if best is None else f"  best {best:.4f} dB"))


@app.command
def performance(
    quality: list[str],
    /,
    *,
    speed: Path,
    out: Out,
    set_name: Annotated[str, Parameter(name="--set")] = "Set5",
    precision: str = "float32",
) -> None:
    """PSNR against time, area for multiply-adds.

    Parameters
    ----------
    quality
        Files from `lamnet evaluate --json`. NAME=FILE where the benchmark calls the file's only model NAME.
    speed
        A file from `lamnet bench --json`; of each model the fastest way counts.
    out
        The figure, a .png or .pdf.
    set_name
        A set that all the evaluations have.
    precision
        The rows of the benchmark that count.
    """
    from lamnet.figures import performance as figure

    for point in figure.create(quality, speed, set_name, precision, out).points:
        giga = point.multiply_adds / 1e9
        print(
            f"{one_line(point.model):24} {point.psnr:.4f} dB  {1000 * point.seconds:.1f} ms  {giga:.1f} G multiply-adds"
        )

"""`lamnet figures`: a verb for each figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lamnet.cli import terminal

app = App(name="figures", help="Draw the figures of a paper: PNG or PDF.", help_format="markdown")

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
    wide: Annotated[bool, Parameter(negative=())] = False,
    device: str | None = None,
) -> None:
    """Draw crops of a region in HR, bicubic and models, with PSNR and SSIM on Y of the crop, and the whole picture.

    Parameters
    ----------
    picture
        The HR picture; LR is made of it.
    models
        tiny, base, tiny:photo, weights files, spandrel:FILE, or a picture that somebody's network made of the same LR.
        LABEL=MODEL says what the figure calls it.
    out
        The figure, a .png or .pdf.
    scale
        Factor of width and height.
    region
        Left, top, width and height in HR pixels; where the models differ most when left out.
    wide
        Make the figure as wide as two columns of a paper.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import compare as figure
    from lamnet.figures.region import Region

    chosen = Region(*region) if region else None
    found = terminal.shown(figure.creating(picture, models, scale, chosen, out, device, wide))
    box = found.region
    terminal.say(f"{'region':24} {box.left} {box.top} {box.width} {box.height}")
    for crop in found.crops:
        terminal.say(f"{crop.name:24} {crop.psnr:.4f} dB  {crop.ssim:.6f}")


@app.command
def attribution(
    picture: Path, models: list[str], /, *, region: Corners, out: Out, scale: int = 4, device: str | None = None
) -> None:
    """Draw local attribution maps (Gu and Dong 2021): the LR pixels that a region of the output depends on.

    Print the diffusion index of each model: the larger, the more pixels take part.

    Parameters
    ----------
    picture
        The HR picture; LR is made of it.
    models
        tiny, base, tiny:photo, weights files, or spandrel:FILE; LABEL=MODEL says what the figure calls it.
    region
        Left, top, width and height in HR pixels.
    out
        The figure, a .png or .pdf.
    scale
        Factor of width and height.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import attribution as figure
    from lamnet.figures.region import Region

    found = terminal.shown(figure.creating(picture, models, scale, Region(*region), out, device))
    for label, one in found.items():
        terminal.say(f"{label:24} {one.diffusion_index:.3f}")


@app.command
def receptive_field(
    pictures: Path, models: list[str], /, *, out: Out, scale: int = 4, size: int = 65, device: str | None = None
) -> None:
    """Draw effective receptive fields: the LR pixels that the centre of the output depends on, averaged over pictures.

    Print, for each model, the sides of the squares that hold 20, 30, 50 and 99 % of the gradient, and their areas as a
    part of the crop.

    Parameters
    ----------
    pictures
        An HR picture, or a folder of them; LR is made of them.
    models
        tiny, base, tiny:photo, weights files, or spandrel:FILE; LABEL=MODEL says what the figure calls it.
    out
        The figure, a .png or .pdf.
    scale
        Factor of width and height.
    size
        Side of the LR crops in the pictures' centres, odd.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.figures import receptive_field as figure

    found = terminal.shown(figure.creating(pictures, models, scale, out, size, device))
    for label, field in found.items():
        squares = (
            f"{share:.0%} {side}x{side} {ratio:.2%}"
            for share, side, ratio in zip(figure.SHARES, field.sides, field.area_ratios, strict=True)
        )
        terminal.say(f"{label:24} {'  '.join(squares)}")


@app.command
def curve(runs: list[str], /, *, out: Out, against: Literal["step", "time"] = "step") -> None:
    """Draw training curves: validation PSNR, loss and learning rate of runs.

    Parameters
    ----------
    runs
        Folders that `lamnet train` wrote to. LABEL=FOLDER says what the figure calls one.
    out
        The figure, a .png or .pdf.
    against
        The horizontal axis: steps, or hours of training.
    """
    from lamnet.figures import curve as figure

    for label, lines in figure.create(runs, out, against).items():
        best = max((line["psnr_y"] for line in lines if "psnr_y" in line), default=None)
        terminal.say(f"{label:24} step {lines[-1]['step']:g}" + ("" if best is None else f"  best {best:.4f} dB"))


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
    """Draw PSNR against time, with an area for the multiply-adds.

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
        The precision whose rows of the benchmark count.
    """
    from lamnet.figures import performance as figure

    found = figure.create(quality, speed, set_name, precision, out)
    for model in found.untimed:
        terminal.note(f"{model}: not drawn, for {speed} has no time of it in {precision}")
    for point in found.points:
        giga = point.multiply_adds / 1e9
        terminal.say(f"{point.model:24} {point.psnr:.4f} dB  {1000 * point.seconds:.1f} ms  {giga:.1f} G multiply-adds")

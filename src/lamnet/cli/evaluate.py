"""`lamnet evaluate`: the quality of models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from lamnet.cli import terminal


def evaluate(
    *models: str,
    data: Path,
    scale: int = 4,
    sets: str | None = None,
    results: list[Path] | None = None,
    compare: list[Path] | None = None,
    metrics: str = "psnr_y,ssim_y",
    convention: Literal["float", "matlab"] = "float",
    border: int | None = None,
    degrade: str | None = None,
    ensemble: bool = False,
    times: bool = False,
    json: Path | None = None,
    csv: Path | None = None,
    markdown: Path | None = None,
    save: Path | None = None,
    save_lr: Path | None = None,
    device: str | None = None,
) -> None:
    """Measure models on benchmark pictures: PSNR and SSIM on Y, per image and mean.

    A picture that cannot be read or measured is left out and named.

    Parameters
    ----------
    models
        tiny, base, tiny:photo, weights files, bicubic, or spandrel:FILE for a network of others.
    data
        A folder of sets (HR and LR_bicubic/X4, LRBICX4, DIV2K_valid_HR, img_001_SRF_4_HR.png, ...), or one set; where
        there are only HR pictures, LR is made.
    scale
        Factor of width and height; 1, with --degrade, for networks that restore and do not enlarge.
    sets
        Names with commas between, such as Set5,Set14; all when left out.
    results
        A folder of pictures that somebody made, measured like a model; may be repeated.
    compare
        An earlier --json file whose figures join the table; may be repeated.
    metrics
        Some of psnr_y, ssim_y, psnr_rgb, ssim_rgb, lpips, dists, with commas between.
    convention
        float: Y is not rounded, grey counts as RGB. matlab: Y is rounded, grey stays grey.
    border
        Pixels left out on each side; the scale when left out.
    degrade
        Conditions that LR is put under, with commas between; parts of one with + between. Such as
        clean,jpeg75,webp80,noise5,blur0.6+noise4+jpeg75: blur and noise by their standard deviation (LR pixels, 8-bit
        levels), jpeg and webp by their quality.
    ensemble
        Take the mean over eight flips and rotations (x8).
    times
        Record the seconds that each image took too.
    json
        A file for the figures: of one model an object, of several a list.
    csv
        A file for the figures, a row for each image and each mean.
    markdown
        A file for the table.
    save
        A folder for the models' results, MODEL/SET/NAMEx4.png; with --degrade MODEL/CONDITION/SET/NAMEx4.png.
    save_lr
        A folder for the LR pictures that are measured, SET/NAMEx4.png; with --degrade CONDITION/SET/NAMEx4.png. Those
        that are there are taken as they are, which is said where they differ.
    device
        cpu, cuda, cuda:1, mps; the best there is when left out.
    """
    from lamnet.evaluation import contenders, places, ranking, report
    from lamnet.evaluation.comparison import comparing
    from lamnet.evaluation.protocol import Protocol
    from lamnet.network import runtime

    outputs = {"json": json, "csv": csv, "markdown": markdown}
    places.prepare(
        {name: path for name, path in outputs.items() if path is not None},
        [*(contenders.file_of(model, scale) for model in models), *(compare or ())],
        [data, *(results or ())],
    )
    earlier = [evaluation for path in compare or () for evaluation in report.from_json(path)]
    protocol = Protocol(tuple(name.strip() for name in metrics.split(",")), convention, border, ensemble, times)
    chosen = [name.strip() for name in sets.split(",")] if sets else None
    conditions = degrade.split(",") if degrade is not None else ()
    work = comparing(
        models,
        scale,
        data,
        chosen,
        protocol,
        results=results or (),
        degrade=conditions,
        device=device,
        save=save,
        save_lr=save_lr,
    )
    if {*models} - {"bicubic"} and (line := runtime.without_core(device)):
        terminal.complain(line)
    found = terminal.shown(work)
    if taken := ranking.lr_sets(found, "lr_taken"):
        terminal.complain(f"{save_lr}: had other LR of {', '.join(taken)} than would be made; it was measured")
    try:
        table = ranking.to_markdown([*earlier, *found])
        for line in table.splitlines():
            terminal.say(line)
    finally:  # figures are kept even where no table can be made of them
        for path, text in ((json, report.to_json), (csv, report.to_csv)):
            if path is not None:
                report.write(path, text(found))
    if markdown is not None:
        report.write(markdown, table)
    if left_out := report.left_out(found):
        for line in left_out:
            terminal.complain(f"{line}; left out")
        sys.exit(1)

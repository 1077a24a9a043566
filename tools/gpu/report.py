"""Findings of a call, as Markdown; written anew after each stage."""

from __future__ import annotations

from typing import Any

from gpu.call import Call
from lamnet.base.files import write_text
from lamnet.evaluation.markdown import markdown_table


def write(call: Call) -> None:
    """Write report.md beside the results."""
    call.out.mkdir(parents=True, exist_ok=True)
    write_text(call.out / "report.md", text(call.results(), call.dry))


def text(results: dict[str, Any], dry: bool) -> str:
    """The report of what the stages have found."""
    rows = [[name, found.get("outcome", ""), f"{found.get('seconds', 0):.0f} s"] for name, found in results.items()]
    title = "# A GPU for fifteen minutes" + (" (dry run on a processor, in small)" if dry else "")
    parts = [title, markdown_table(["stage", "outcome", "time"], rows)]
    makers = {"check": _check, "bench": _bench, "ways": _ways, "train": _train}
    parts += [make(results[name]) for name, make in makers.items() if name in results]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _check(found: dict[str, Any]) -> str:
    rows = [
        [
            row["format"],
            row["kernel"],
            f"{row['error']:.2e}",
            "right" if row["right"] else "WRONG",
        ]
        for row in found.get("rows", [])
    ]
    reason = f" ({found['reason']})" if "reason" in found else ""
    lines = [
        "## Triton kernels against the reference in float64",
        f"On {found.get('device', '?')}. For training: {found.get('backend', 'reference')}{reason}.",
    ]
    if rows:
        lines.append(markdown_table(["format", "kernel", "worst error, of the greatest number", ""], rows).strip())
    times = [
        [name, what, *(f"{ms:.3f}" for ms in by_backend.values())]
        for name, by_kernel in found.get("times", {}).items()
        for what, by_backend in by_kernel.items()
    ]
    if times:
        lines.append("Forward and backward of 16 patches of 64x64, as PyTorch calls them, in milliseconds:")
        lines.append(markdown_table(["format", "kernel", "Triton", "plain PyTorch"], times).strip())
    return "\n\n".join(lines)


def _bench(found: dict[str, Any]) -> str:
    tables = [f"### {name}\n\n{table.strip()}" for name, table in found.get("tables", {}).items()]
    return "\n\n".join(["## Speed", *(tables or ["Nothing was timed."])])


def _ways(found: dict[str, Any]) -> str:
    rows = [
        [row["way"], str(row["batch"]), row["problem"] or f"{row['pixels_per_s'] / 1e6:.3f} M", f"{row['cosine']:.5f}"]
        for row in found.get("rows", [])
    ]
    lines = ["## Forms of a training step"]
    if rows:
        lines += [markdown_table(["form", "batch", "LR pixels a second", "gradient's cosine"], rows).strip()]
        lines += [f"Taken: {found['way']}, batch {found['batch']}."]
    if profile := found.get("profile"):
        lines += [f"```\n{profile.strip()}\n```"]
    return "\n\n".join(lines)


def _train(found: dict[str, Any]) -> str:
    seen = found.get("seen", [])
    rows = [
        [str(one["step"]), f"{one['elapsed_s']:.0f} s", f"{one['psnr_y']:.3f}" if "psnr_y" in one else ""]
        for one in seen
    ]
    lines = ["## Training"]
    if fleet := found.get("fleet"):
        members = [
            [
                name,
                one.get("phase", ""),
                str(one.get("step", "")),
                f"{one.get('lr_pixels', 0) / 1e6:,.1f} M",
                one.get("problem", ""),
            ]
            for name, one in fleet.items()
        ]
        lines += [markdown_table(["training", "last phase", "step", "LR pixels in it", "ended by"], members).strip()]
    if seen:
        lines += [
            f"Last phase: {found['phase']}, step {found['step']}, batch {found['batch']} of {found['patch']}x{found['patch']}, "
            f"{found['lr_pixels'] / 1e6:,.1f} million LR pixels in it. PSNR-Y of the photographs that came along to be watched:",
            markdown_table(["step", "time of the phase", "PSNR-Y, dB"], rows).strip(),
        ]
    return "\n\n".join(lines)

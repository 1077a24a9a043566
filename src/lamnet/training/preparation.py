"""Preparation of photographs for training: a set of memory-mapped files of 8-bit HR, and LR at each scale, with an index.

`hr.u8`, `lr_x2.u8`, ... hold the pictures one after the other, (H, W, 3) uint8 each; `index.json` has their names and HR
sizes, and appears last: a folder that has it is whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from lamnet.base import locks
from lamnet.base.errors import BadArgumentError, BadDataError, BadImageError, MissingExtraError
from lamnet.base.progress import Progress, Work, finish
from lamnet.training import listing
from lamnet.training.conversion import Converted, convert, convert_pair
from lamnet.training.given import Given
from lamnet.training.journal import Journal, relicense
from lamnet.training.prepared import BICUBIC, GIVEN, INDEX, SCALES, Photo, PreparedSet

_TOO_LARGE = "expected a picture that fits into memory"
_AT_ONCE = 4  # photographs in memory: in work, or behind one that is


def prepare(
    hr_dir: Path | str, out: Path | str, scales: Sequence[int] = (2, 3, 4), lr_dir: Path | str | None = None
) -> PreparedSet:
    """Make a prepared set in `out` from the photographs in `hr_dir` and below; an interrupted call is continued.

    HR is cropped to a multiple of all scales, LR made by MATLAB's bicubic with mirrored borders (DIV2K's convention).
    Pictures are read as `lamnet upscale` reads them, and converted to 8 bits. Hidden ones are left out, and so are those in
    `lr_dir` where it lies in `hr_dir`. Skipped and listed in the result are unreadable, too small and too large ones, LR in
    a folder named so (LR, LR_bicubic/X4, ...) beside its HR, and results of ours (a_x4.png) beside their pictures.
    Photographs whose pixels are not whole, of a finished set too, are made again. Where `hr_dir` has a manifest.csv with
    columns `file` and `licence`, the licences go into the index, and from there onto model cards; those of a finished set follow it.

    With `lr_dir` LR is not made but read from there, for one scale, in pairs as `given.Given.find` finds them. LR must have
    the size of HR cropped to a multiple of the scale, divided by it. A pair of other sizes, of different pictures, with red
    and blue exchanged, or with a shift of more than `fitting.MAX_SHIFT` LR pixels, also of a part alone as where LR is turned,
    is skipped; a smaller shift, another contrast, and grey beside colour are noted. Black and white of 16 bits and of floats are the same numbers in both.

    Raises:
        BadDataError: no usable photograph, `out` holds a set of other photographs, scales or LR, is in use by another
            call, or cannot be written.
        BadArgumentError: a scale that is no whole number from 2 to 8, several scales with `lr_dir`, or twice the same folder.
    """
    return finish(preparing(Path(hr_dir), Path(out), scales, None if lr_dir is None else Path(lr_dir)))


def preparing(
    hr_dir: Path, out: Path, scales: Sequence[int] = (2, 3, 4), lr_dir: Path | None = None
) -> Work[PreparedSet]:
    """Prepare as `prepare` does, with progress after each photograph."""
    _check_request(hr_dir, out, scales, lr_dir)
    wanted = sorted(set(scales))
    licences = listing.licences(hr_dir / listing.MANIFEST)
    sources, given = listing.found(hr_dir, lr_dir, wanted[0])
    if (out / INDEX).exists():
        finished = PreparedSet.recorded(out)
        _check_same(finished, sources, wanted, given)
        _check_unedited(finished, hr_dir, sources, given)
        if (yield from _checking(finished)):
            return relicense(finished, licences)
    if not sources:
        raise BadDataError(f"{hr_dir}: expected photographs, found no picture in it or below")
    with locks.exclusive(out), Journal(out, wanted, sources, given) as journal, ThreadPoolExecutor(2) as pool:
        remaining = sources[len(journal.photos) :]
        yield Progress("preparing", len(journal.photos) / len(sources))
        for photo, pixels in _in_order(pool, hr_dir, remaining, wanted, given):
            journal.add(photo, pixels)
            yield Progress("preparing", len(journal.photos) / len(sources))
        if not journal.usable:
            journal.remove()
            first = journal.skipped[0]
            raise BadDataError(
                f"{hr_dir}: expected usable photographs, found none among {len(sources)} pictures, "
                f"the first: {first.name}: {first.reason}"
            )
        journal.write_index()
    return relicense(PreparedSet.open(out), licences)


def _checking(finished: PreparedSet) -> Work[bool]:
    """Check that the pixels of a finished set are those of its index; of an older set their number alone is known."""
    whole = 0
    for whole, _ in enumerate(finished.whole_photos(), 1):
        yield Progress("checking", whole / len(finished.photos))
    sizes = {finished.file(scale): int(finished.offsets(scale)[-1]) for scale in (1, *finished.scales)}
    return whole == len(finished.photos) and all(file.stat().st_size == size for file, size in sizes.items())


def _check_request(hr_dir: Path, out: Path, scales: Sequence[int], lr_dir: Path | None) -> None:
    if not scales or not all(scale in SCALES for scale in scales):
        raise BadArgumentError(
            f"scales: expected whole numbers from 2 to 8, got {', '.join(map(str, scales)) or 'none'}"
        )
    for folder in (hr_dir, lr_dir):
        if folder is not None and not folder.is_dir():
            raise BadDataError(
                f"{folder}: expected a folder of photographs, found {'a file' if folder.exists() else 'none'}"
            )
    if lr_dir is not None and len(set(scales)) > 1:
        raise BadArgumentError(
            f"scales: expected the one scale of the LR that is given, got {', '.join(map(str, scales))}"
        )
    if lr_dir is not None and lr_dir.samefile(hr_dir):
        raise BadArgumentError(f"lr: expected another folder than that of HR, got {lr_dir}")
    for folder in (hr_dir, lr_dir):
        if folder is not None and out.exists() and out.samefile(folder):
            raise BadArgumentError(f"out: expected another folder than that of the photographs, got {out}")


def _in_order(
    pool: ThreadPoolExecutor, folder: Path, sources: Sequence[Photo], scales: Sequence[int], given: Given | None
) -> Iterator[Converted]:
    """Yield converted photographs in their order, a few of them under way."""
    waiting = deque[Future[Converted]]()
    try:
        for source in sources:
            waiting.append(pool.submit(_converted, folder, scales, given, source))
            if len(waiting) == _AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _converted(folder: Path, scales: Sequence[int], given: Given | None, source: Photo) -> Converted:
    """Convert one photograph; no pixels where it has to be skipped."""
    if source.reason is not None:
        return source, {}
    try:
        return convert(folder, source, scales) if given is None else convert_pair(folder, source, scales[0], given)
    except (BadImageError, MissingExtraError) as error:
        return replace(source, reason=str(error).removeprefix(f"{folder / source.name}: ")), {}
    except MemoryError:
        return replace(source, reason=_TOO_LARGE), {}


def _check_same(finished: PreparedSet, sources: list[Photo], scales: list[int], given: Given | None) -> None:
    out = finished.folder
    found = {photo.name: photo.bytes for photo in finished.photos + finished.skipped}
    wanted = {photo.name: photo.bytes for photo in sources}
    if not any(found.values()):  # an older set, without lengths
        wanted = dict.fromkeys(wanted, 0)
    if differing := _differing(found, wanted):
        raise BadDataError(
            f"{out}: expected a set of these {len(wanted)} photographs, found one of {len(found)} others; they differ in "
            f"{differing}: use another folder"
        )
    if list(finished.scales) != scales:
        raise BadDataError(
            f"{out}: holds a set of scales {list(finished.scales)}; expected {scales}: use another folder"
        )
    if not (_is_made_from(finished, given) if given else finished.lr == BICUBIC):
        expected = given.origin if given else BICUBIC
        raise BadDataError(f"{out}: holds a set whose LR is {finished.lr}; expected {expected}: use another folder")
    if given is None or finished.pairs is None:
        return
    if differing := _differing({pair.hr: pair for pair in finished.pairs}, given.pairs):
        raise BadDataError(
            f"{out}: expected a set of the LR in {given.folder}, found one of other files; they differ for {differing}: "
            "use another folder"
        )


def _check_unedited(finished: PreparedSet, hr_dir: Path, sources: Sequence[Photo], given: Given | None) -> None:
    """Check that files which were written to since still give the same pixels: a copy of them has other times too."""
    recorded = {photo.name: photo for photo in finished.photos + finished.skipped}
    for source in sources:
        before = recorded[source.name]
        if before.modified in ((), source.modified):
            continue
        now, _ = _converted(hr_dir, finished.scales, given, source)
        if (now.pixels, now.reason is None) != (before.pixels, before.reason is None):
            raise BadDataError(
                f"{finished.folder}: expected a set of these photographs, found one from before {source.name}"
                f"{' or its LR' if given else ''} was changed: use another folder"
            )


def _differing(found: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """Name the first photograph that is not the same in both, and tell how many more there are; "" without one."""
    names = {name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)}
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{min(names)}{more}" if names else ""


def _is_made_from(finished: PreparedSet, given: Given) -> bool:
    """Tell whether the LR of a set came from this folder, whichever way that is typed."""
    if finished.lr == given.origin:
        return True
    recorded = finished.lr_folder or finished.lr.removeprefix(GIVEN)
    try:
        return finished.lr.startswith(GIVEN) and given.folder.samefile(recorded)
    except (OSError, ValueError):  # it is gone, or no path
        return False

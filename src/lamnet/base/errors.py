"""Errors for users. Each message is one line that names a file or argument, what was expected and what was found."""


class LamnetError(Exception):
    """A refusal of lamnet, the base of all its errors; the command prints the message and exits with 1."""


class BadArgumentError(LamnetError, ValueError):
    """An argument of a function, or an option of the command, that cannot be used."""


class BadImageError(LamnetError):
    """A file that is no readable picture or video, does not fit its purpose, or cannot be written."""


class BadWeightsError(LamnetError):
    """A weights or checkpoint file that is missing, unsafe, of another network, or incomplete."""


class BadDataError(LamnetError):
    """A folder or prepared set that does not hold what training or evaluation needs."""


class BackendError(LamnetError):
    """A backend, device or precision that was asked for by name and cannot run here."""


class MissingExtraError(LamnetError):
    """An optional package that cannot be imported; the message names the extra that brings it."""

"""The errors users meet. Each message is one line that says what was expected and what was found."""


class LamnetError(Exception):
    """Anything lamnet refuses to do; the command prints the message and exits with 1."""


class BadArgumentError(LamnetError, ValueError):
    """An argument of a function or an option of a command: names it, what it takes, what it got."""


class BadImageError(LamnetError):
    """A file that is not a readable picture, or a picture that does not fit its purpose."""


class BadWeightsError(LamnetError):
    """A weights or checkpoint file that is missing, unsafe, of another network, or incomplete."""


class BadDataError(LamnetError):
    """A folder or prepared set that does not hold what training or evaluation needs."""


class BackendError(LamnetError):
    """A backend, device or precision that was asked for by name and cannot run here."""


class MissingExtraError(LamnetError):
    """An optional dependency that is not installed: names the extra that brings it."""

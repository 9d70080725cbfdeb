"""Errors that a user can cause: one sentence each with what was expected, what came, what to do."""


class EbmlibError(Exception):
    """Base of every error that a user of ebmlib can cause and mend.

    The message is one sentence that a command line can print as it stands; programs that embed the
    library can catch this class and let everything else through as a defect of the library.

    Example:
        >>> from ebmlib import EbmlibError, preset
        >>> try:
        ...     preset("square")
        ... except EbmlibError as error:
        ...     print(error)
        No preset is called 'square'; known: path1, circle, mouse1, mouse2.
    """


class InputError(EbmlibError, ValueError):
    """A drawing, an array, a name or a number that the library cannot work with."""


class DeviceError(EbmlibError, RuntimeError):
    """A device that is not available."""


class StoreError(EbmlibError, OSError):
    """The store cannot be written, read, or has no room left."""


class DivergenceError(EbmlibError, ArithmeticError):
    """Training or sampling gave numbers that are not finite; the last good state was kept."""


class InputWarning(UserWarning):
    """Data that can be read but are probably not what the user meant."""


class NoiseLevelWarning(UserWarning):
    """The noise level alpha does not fit the scale of the data (chains are stable below 2 s)."""

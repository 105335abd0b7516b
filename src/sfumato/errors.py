"""Errors a user can mend.

Every error that stems from what a person typed or from a file they named is a `SfumatoError`: one line
that says what is wrong and what would be right. The command line prints it and exits with code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SfumatoError(Exception):
    """Something the user can put right; the message is one line and names the remedy."""


class DataError(SfumatoError):
    """The data is missing, unreadable or unfit."""


class ConfigError(SfumatoError):
    """A setting is unknown, out of range, or does not go with another."""


class RunError(SfumatoError):
    """A run folder is missing, incomplete, or from elsewhere."""


class LostWords(UserWarning):
    """A model does not hear all that it is asked for in words; the message says what it does not hear."""


def unknown(kind: str, name: str, choices: Iterable[str]) -> ConfigError:
    """Build the error for a name that is not among `choices`, with the nearest one suggested."""
    known = sorted(choices)
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return ConfigError(f"Unknown {kind} '{name}'.{hint} Choose from: {', '.join(known)}.")


def nearest(name: str, choices: Iterable[str], most: int = 3) -> str:
    """Return the `most` names of `choices` that are most like `name`, whatever their case, for an error.

    Where none is like it, the first few stand for all of them.
    """
    known = list(choices)
    lower = {choice.lower(): choice for choice in known}
    near = [lower[found] for found in get_close_matches(name.lower(), lower, n=most)]
    if near:
        return f"did you mean {' or '.join(repr(choice) for choice in near)}?"
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"it is none of {', '.join(repr(choice) for choice in known[:most])}{more}."

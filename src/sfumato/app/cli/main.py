"""`sfumato`: the command line.

Verbs import what they need when they run, so that help answers at once. An error that the user can mend is
one line and exit code 2, never a traceback.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from sfumato import __version__
from sfumato.app.cli.classifier import classifier
from sfumato.app.cli.colourise import colourise
from sfumato.app.cli.data import data
from sfumato.app.cli.decode import decode
from sfumato.app.cli.demo import demo
from sfumato.app.cli.distill import distill
from sfumato.app.cli.encode import encode
from sfumato.app.cli.evaluate import evaluate
from sfumato.app.cli.filters import filters
from sfumato.app.cli.fit_grid import fit_grid
from sfumato.app.cli.inpaint import inpaint
from sfumato.app.cli.interpolate import interpolate
from sfumato.app.cli.likelihood import likelihood
from sfumato.app.cli.recipes import recipes
from sfumato.app.cli.reconstruct import reconstruct
from sfumato.app.cli.sample import sample
from sfumato.app.cli.train import train
from sfumato.app.cli.upscale import upscale
from sfumato.app.cli.vary import vary
from sfumato.app.cli.verify import verify
from sfumato.errors import LostWords, SfumatoError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (
    *(demo, train, sample, distill, classifier, fit_grid, evaluate, likelihood),
    *(inpaint, upscale, colourise, vary),
    *(encode, decode, reconstruct, interpolate),
    *(data, filters, recipes, verify),
)
for verb in VERBS:
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sfumato {__version__}")
        raise typer.Exit


@app.callback()
def callback(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    """Train, sample, score and show generative models of images, on the machine you have.

    Start with [bold]sfumato demo[/]: digits from noise in about a minute.
    """


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Say as a note what the library warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", LostWords)
        usual = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, LostWords):
                return usual(message, category, filename, lineno, file, line)
            typer.secho("note: ", fg="yellow", nl=False, err=True)
            typer.echo(message, err=True)

        warnings.showwarning = show
        yield


def main() -> None:
    """Run the command line."""
    try:
        with warnings_as_notes():
            app()
    except (SfumatoError, OSError) as error:
        message = " ".join(str(error).split())
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(message, err=True)
        sys.exit(2)

"""sfumato: generative models of images, trained, sampled, scored and shown on the machine you have.

    data = sfumato.load_data("digits")
    run = sfumato.fit(data, out="runs/digits", budget="30s")
    images = run.sample(16)

Everything is imported when it is first used, so that `import sfumato` costs next to nothing.
"""

from sfumato.lazy import lazily

__version__ = "0.1.0"

_HOMES = {
    "load_data": "sfumato.data",
    "fit": "sfumato.api",
    "fit_cascade": "sfumato.api",
    "distill": "sfumato.api",
    "interpolate": "sfumato.api",
    "open_run": "sfumato.api",
    "open_cascade": "sfumato.api",
    "configure": "sfumato.recipes",
    "register": "sfumato.runs.registry",
    "Condition": "sfumato.condition",
    "Normal": "sfumato.normal",
    "SeededNoise": "sfumato.randomness",
    "SfumatoError": "sfumato.errors",
}
__all__ = ["__version__", *sorted(_HOMES)]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__

"""sfumato: generative models of images, trained, sampled, scored and shown on the machine you have.

    data = sfumato.load_data("digits")
    run = sfumato.fit(data, out="runs/digits", budget="30s")
    images = run.sample(16)

Everything is imported when it is first used, so that `import sfumato` costs next to nothing.
"""

from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "load_data": "sfumato.data",
    "fit": "sfumato.api",
    "open_run": "sfumato.api",
    "configure": "sfumato.recipes",
    "Condition": "sfumato.condition",
    "Normal": "sfumato.normal",
    "SeededNoise": "sfumato.randomness",
    "SfumatoError": "sfumato.errors",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sfumato' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

"""What a decoder's numbers say about an example: p(x | z) as a piece.

A decoder puts out `outputs` numbers for each value of the data; a likelihood reads them as the parameters of
independent distributions and sums over all values, so that log_prob is in nats per example. A mean instead of
the sum would divide the likelihood by the number of pixels, and so multiply the weight of the divergence that
stands beside it.
"""

from collections.abc import Mapping
from dataclasses import fields

from sfumato.errors import ConfigError, unknown
from sfumato.families.agreements import DataFacts
from sfumato.families.variational.likelihoods.base import LEVEL, Likelihood
from sfumato.families.variational.likelihoods.bernoulli import Bernoulli
from sfumato.families.variational.likelihoods.gaussian import FixedGaussian, Gaussian
from sfumato.families.variational.likelihoods.logistic import DiscretisedLogistic

__all__ = [
    "LEVEL",
    "LIKELIHOODS",
    "Bernoulli",
    "DiscretisedLogistic",
    "FixedGaussian",
    "Gaussian",
    "Likelihood",
    "likelihood",
    "likelihood_for",
]

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "fixed-gaussian": FixedGaussian,
    "logistic": DiscretisedLogistic,
}
"""What a configuration may call a decoder."""


def likelihood(name: str, options: Mapping[str, float] = {}) -> Likelihood:
    """Return the likelihood called `name`; raise ConfigError for another name or an option it has not."""
    if name not in LIKELIHOODS:
        raise unknown("decoder", name, LIKELIHOODS)
    kind = LIKELIHOODS[name]
    for option in options:
        if option not in {field.name for field in fields(kind)}:  # type: ignore[arg-type]  # all are dataclasses
            raise ConfigError(f"decoder '{name}' has no option {option}: leave it out.")
    return kind(**options)


def likelihood_for(facts: DataFacts, name: str, std: float | None = None) -> Likelihood:
    """Return the likelihood called `name`, with a fixed `std` if one is set.

    Raises ConfigError for an unknown name, a std that it does not take, and data that it does not describe.
    """
    chosen = likelihood(name, {} if std is None else {"std": std})
    chosen.check(facts)
    return chosen

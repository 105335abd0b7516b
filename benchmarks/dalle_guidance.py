"""Where guidance helps in DALL·E 2: of the words that make an embedding, or of the embedding that is drawn.

    python benchmarks/dalle_guidance.py [--pictures 500] [--runs runs/words] [--out benchmarks/results]

Asked of the cascade that `dalle.py` trained into --runs: the share of pictures that show what their sentences
say, for a weight of the prior and one of the decoder; and what negative prompts do that name a size or a
place which the prompt leaves open, led away from by the prior or by the decoder.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from sfumato.data.scenes import sentences
from sfumato.data.scenes.shapes import SHAPES
from sfumato.data.scenes.words import COLOURS, PLACES, SIZES
from sfumato.metrics.scene_checker import check
from sfumato.runs.cascade.cascade import Cascade
from sfumato.runs.conditions.build import Wishes
from sfumato.runs.run import CHUNK, Run
from sfumato.runs.sampling import sample_whole

FIRST_SEED, NEXT_STAGE = 500_000, 2**40
OF_PRIOR, OF_DECODER, USUAL = (1.0, 1.5, 2.0, 3.0), (1.0, 2.0, 3.0), 2.0


def drawn(decoder: Run, codes: np.ndarray, weight: float, away: np.ndarray | None = None) -> torch.Tensor:
    """Return pictures of embeddings (N, D), guided by them and led away from others, if there are any."""
    told = {"embedding": list(codes)}
    seed = FIRST_SEED + NEXT_STAGE
    request = decoder.request(len(codes), seed=seed, conditions=told, guidance=weight)
    if away is not None:
        wishes = Wishes(told, {"embedding": list(away)})
        request = replace(request, condition=decoder.conditions.asked(wishes, len(codes)))
    return torch.from_numpy(sample_whole(decoder, request, CHUNK))


def right(made: torch.Tensor, said: Sequence[str]) -> float:
    """Return the share of pictures of which all that is said is right."""
    return float(check(made, said).all.double().mean())


def weights(prior: Run, decoder: Run, kind: str, n: int) -> list[str]:
    """Return a table: a line for each weight of the prior, a cell for each of the decoder."""
    said, lines = sentences(kind, n, seed=11), []
    for weight in OF_PRIOR:
        codes = prior.sample(n, prompts=said, seed=FIRST_SEED, guidance=weight)
        shares = (right(drawn(decoder, codes, other), said) for other in OF_DECODER)
        lines.append(f"| {kind} | {weight:g} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return lines


def negatives(prior: Run, decoder: Run, n: int) -> list[str]:
    """Return a table: what is led away from, and by whom; how often the prompt and the negative are shown."""
    things = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    said = [f"a {thing}" for thing in islice(cycle(things), n)]
    sizes = [f"a {size} {text[2:]}" for size, text in zip(cycle(SIZES), said, strict=False)]
    places = [f"{text} in the {place}" for place, text in zip(cycle(PLACES), said, strict=False)]
    plain, lines = prior.sample(n, prompts=said, seed=FIRST_SEED, guidance=1.0), []
    for name, away in (("a size", sizes), ("a place", places)):
        codes = prior.sample(n, prompts=away, seed=FIRST_SEED, guidance=1.0)
        made = {"no negative": drawn(decoder, plain, USUAL)}
        for weight in OF_PRIOR[1:]:
            led = prior.sample(n, prompts=said, negative=away, seed=FIRST_SEED, guidance=weight)
            made[f"the prior, {weight:g}"] = drawn(decoder, led, USUAL)
        for weight in OF_DECODER[1:]:
            made[f"the decoder, {weight:g}"] = drawn(decoder, plain, weight, codes)
        for by, pictures in made.items():
            lines.append(f"| {name} | {by} | {right(pictures, said):.1%} | {right(pictures, away):.1%} |")
    return lines


def page(cascade: Cascade, n: int) -> str:
    """Measure all and return it as a page."""
    prior, decoder = cascade.stages[:2]
    shares = "\n".join(line for kind in ("seen", "held-out") for line in weights(prior, decoder, kind, n))
    led = "\n".join(negatives(prior, decoder, n))
    return f"""# Guidance in DALL·E 2 ({date.today().isoformat()})

`python benchmarks/dalle_guidance.py`: a cascade whose prior was trained for {prior.done.seconds:.0f} s and
its decoder for {decoder.done.seconds:.0f} s. {n:,} pictures a cell at 32×32 from seed {FIRST_SEED:,}: the
share that shows all that the sentence says.

| sentences | weight of the prior | {" | ".join(f"decoder {weight:g}" for weight in OF_DECODER)} |
|---|---|{"---|" * len(OF_DECODER)}
{shares}

Negative prompts that name what the prompt leaves open. Where the prior is guided, the decoder's weight is
{USUAL:g}.

| led away from | by, with a weight of | the prompt is shown | the negative is shown |
|---|---|---|---|
{led}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--runs", type=Path, default=Path("runs/words"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    text = page(Cascade.open(args.runs / "dalle"), args.pictures)
    (args.out / f"dalle-guidance-{date.today().isoformat()}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

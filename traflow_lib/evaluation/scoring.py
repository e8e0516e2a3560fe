"""The settings of one evaluation, as the command evaluate and a recipe's block `fid` hold them."""

from typing import Annotated

from pydantic import Field, ValidationError

from ..files.checks import Block, brief, first_fault
from ..solvers import Method
from .feature_cache import BATCH
from .inception import Mode
from .scores import Metric

Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]


class Scoring(Block):
    """How images are scored, by FID and its kin; the command evaluate takes the same."""

    n: Several = Field(50_000, description="images to generate a seed, or to take from a folder")
    nfe: Annotated[list[Count], Field(min_length=1)] = Field([1], description="network calls a sample")
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        [0], description="of the noise; several give the spread"
    )
    split: str | None = Field(None, description="of the data set; train unless it has none")
    n_reference: Several | None = Field(None, description="only the first so many images of the split")
    metrics: Annotated[list[Metric], Field(min_length=1)] = Field(["fid"], description="which")
    extractor: str = Field(
        "inception",
        description="one of inception, cnn (the kit's), random[:SEED] (of random weights), "
        "torchvision:MODEL=FILE or timm:MODEL=FILE",
    )
    mode: Mode = Field("clean", description="how Inception's images are resized")
    solver: Method | None = Field(None, description="instead of jumps")
    tol: Annotated[float, Field(gt=0)] = Field(1e-5, description="of dopri5")
    batch: Count = Field(BATCH, description="images at a time; several processes share the batches")
    cost: bool = Field(
        False, description="also latency, throughput and memory of a call; needs an idle machine"
    )

    @classmethod
    def of(cls, **settings) -> "Scoring":
        """The settings, checked; a ValueError says in one line which is wrong, and what is allowed."""
        try:
            return cls(**settings)
        except ValidationError as error:
            keys, value, message = first_fault(error, settings)
            raise ValueError(f"{'.'.join(map(str, keys))} is {brief(value)}: {message}") from None

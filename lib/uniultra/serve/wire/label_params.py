"""What a client says about a label that it saves, in `params`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from uniultra.errors import RequestError
from uniultra.store.catalogue.ids import is_name
from uniultra.store.types import Index, Origin


def _plain(word: str) -> str:
    if not is_name(word):
        raise ValueError("control characters")
    return word


Word = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
_STRUCTURED = ("base_revision", "frames", "prompts", "model", "adapter", "clicks", "seconds")


class _Named(BaseModel):
    """One line of stock Slicer's `label_info`."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    idx: Annotated[int, Field(ge=1, le=65535)]


class LabelParams(BaseModel):
    """The parameters that the store knows; all others are kept as they came.

    Attributes:
        annotator, client_id: who saves; the first that is there.
        base_revision: the revision it was made from, 0 for none.
        frames: of a cine, those that are done.
        prompts, model, adapter, clicks, seconds: how it came about.
        label_info: `[{"name", "idx"}]`, as stock Slicer sends it.
        idempotency_key: the same key again answers the same revision.
    """

    model_config = ConfigDict(extra="ignore")

    annotator: Word = ""
    client_id: Word | None = None
    base_revision: Index | None = None
    frames: tuple[Index, ...] | None = None
    prompts: tuple[dict[str, Any], ...] = ()
    model: Word | None = None
    adapter: Word | None = None
    clicks: Index | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    label_info: tuple[_Named, ...] = ()
    idempotency_key: Annotated[Word, Field(min_length=1)] | None = None

    @field_validator("prompts", mode="before")
    @classmethod
    def _one(cls, prompts: Any) -> Any:
        return (prompts,) if isinstance(prompts, dict) else prompts or ()

    @field_validator("label_info", mode="before")
    @classmethod
    def _stock(cls, lines: Any) -> Any:
        # stock clients send lines without a name or an index, and other shapes altogether
        if not isinstance(lines, list):
            return ()
        return [line for line in lines if isinstance(line, dict) and {"name", "idx"} <= set(line)]

    @classmethod
    def of(cls, params: dict[str, Any]) -> LabelParams:
        """Read the `params` of a request.

        Raises:
            RequestError: one of the wrong kind; the text names it.
        """
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            places = sorted({str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"]})
            raise RequestError(
                f"Expected {', '.join(places)} in params as docs/labels.md says; got something else. "
                "Nothing was saved."
            ) from None

    @property
    def who(self) -> str:
        """The annotator."""
        return self.annotator or self.client_id or ""

    @property
    def origin(self) -> Origin:
        """How the label came about."""
        return Origin(
            model=self.model,
            adapter=self.adapter,
            prompts=self.prompts,
            clicks=self.clicks,
            seconds=self.seconds,
        )

    @property
    def labels(self) -> dict[str, int] | None:
        """Index of each name, where the request says."""
        return {line.name: line.idx for line in self.label_info} or None


def rest(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are kept as information about the label."""
    return {key: value for key, value in params.items() if key not in _STRUCTURED}

"""What every part of the configuration, and every body of the admin API, is made of."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping of the file with known keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # A refused value may be a secret that was written where its name belongs.
        hide_input_in_errors=True,
        # Most are only parts of another, which builds what it needs of them; a start would pay for each twice.
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, data: Any) -> Any:
        """A section whose keys are all commented out has its defaults."""
        return {} if data is None else data

"""What several routes answer with: sentences in both languages, flaws."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from nexus_shared.errors import Flaw
from nexus_trigger_processor.handlers.telling import Sentence


class SentenceOut(BaseModel):
    """The same in the languages of the console."""

    model_config = ConfigDict(populate_by_name=True)

    pt: str = Field(alias="pt-BR")
    en: str


class FlawOut(BaseModel):
    """Something to look at: where (JSON pointer), what was expected and what to do."""

    pointer: str
    message: str
    code: str


def sentence_out(sentence: Sentence | None) -> SentenceOut | None:
    return SentenceOut(pt=sentence.pt, en=sentence.en) if sentence else None


def flaws_out(flaws: Iterable[Flaw]) -> list[FlawOut]:
    return [FlawOut(**flaw.as_dict()) for flaw in flaws]

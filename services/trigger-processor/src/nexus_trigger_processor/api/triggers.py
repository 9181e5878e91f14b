"""/v1/triggers: drafts, publishing, versions, secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from nexus_shared.access.dependencies import requires
from nexus_shared.access.principal import Principal, Scope
from nexus_shared.http.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, Page
from nexus_trigger_processor.api.inputs import (
    DEFINITION,
    NO_CONTROLS,
    NO_REASON,
    Document,
    Given,
    NeededRevision,
    Revision,
    Version,
    Why,
    Word,
)
from nexus_trigger_processor.api.outputs import FlawOut, SentenceOut, flaws_out, sentence_out
from nexus_trigger_processor.handlers.publishing import Publishing
from nexus_trigger_processor.handlers.triggers import (
    Saved,
    TriggerFilter,
    Triggers,
    TriggerView,
    VersionView,
)

Status = Literal["draft", "published", "disabled"]
Reader = Annotated[Principal, requires(Scope.TRIGGERS_READ)]
Writer = Annotated[Principal, requires(Scope.TRIGGERS_WRITE)]

_TRIGGERS = Cursor[tuple[AwareDatetime, UUID]](tuple[AwareDatetime, UUID])
_VERSIONS = Cursor[int](int)


class TriggerSummary(BaseModel):
    """A trigger in a list."""

    id: UUID
    name: str
    status: Status
    event_type: str = Field(description="Of the draft if there is one; `*` stands for anything")
    sentence: SentenceOut | None = Field(description="The draft in a sentence, else the published version")
    version: int | None = Field(description="The current version; null while it was never published")
    has_draft: bool = Field(description="Whether something is saved that is not published")
    revision: int = Field(description="For If-Match; rises with every change")
    execution_count: int
    last_run_at: datetime | None
    last_run_id: UUID | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


class TriggerOut(TriggerSummary):
    """A trigger with its definitions. Secrets are never in them."""

    draft: dict[str, Any] | None = Field(
        description="What is being edited; null when it is published as it is"
    )
    published: dict[str, Any] | None = Field(description="The current version's definition")
    effective_after: int | None = Field(description="Events up to this log position never fire it")


class SavedOut(TriggerOut):
    """A saved trigger."""

    secrets: dict[str, str] = Field(
        description="Signing secrets made just now, by action key: keep them, they are never shown again"
    )
    hints: list[FlawOut] = Field(description="What is possible but perhaps not meant")


class JudgementOut(BaseModel):
    """What is to be said about a definition."""

    valid: bool
    errors: list[FlawOut]
    hints: list[FlawOut]
    sentence: SentenceOut | None


class VersionSummary(BaseModel):
    """A published version in a list, newest first."""

    version: int
    published_at: datetime
    published_by: str
    reason: str
    sentence: SentenceOut | None


class VersionOut(VersionSummary):
    definition: dict[str, Any]


class SecretOut(BaseModel):
    """A new signing secret: keep it, it is never shown again. The one before signs too for 24 hours."""

    action_key: str
    secret: str


class Copy(Given):
    name: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=NO_CONTROLS)] | None = None


SAME_NAME = Copy()


def routes(triggers: Triggers, publishing: Publishing) -> APIRouter:
    router = APIRouter(prefix="/v1/triggers", tags=["triggers"])
    _reading(router, triggers)
    _editing(router, triggers)
    _steps(router, triggers, publishing)
    _versions(router, triggers, publishing)
    return router


def _reading(router: APIRouter, triggers: Triggers) -> None:
    @router.get("", operation_id="listTriggers")
    async def list_triggers(
        who: Reader,
        status: Status | None = None,
        event_type: Word = None,
        text: Word = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: CursorText = None,
    ) -> Page[TriggerSummary]:
        """Newest first. `event_type` finds triggers that listen to it, also by a pattern; `text` is part of a name."""
        narrowed = TriggerFilter(status, event_type, text)
        rows = await triggers.page(who.tenant_id, narrowed, _TRIGGERS.read(cursor), limit + 1)
        page = _TRIGGERS.page(rows, limit, lambda view: (view.row.created_at, view.row.trigger_id))
        return Page(items=[_summary(view) for view in page.items], next_cursor=page.next_cursor)

    @router.post("/validate", operation_id="validateTrigger", openapi_extra=DEFINITION)
    async def validate(who: Reader, document: Document) -> JudgementOut:
        """All that is wrong with a definition, where, and what to do; and what it would do, in a sentence."""
        said = triggers.judge(document)
        return JudgementOut(
            valid=not said.flaws,
            errors=flaws_out(said.flaws),
            hints=flaws_out(said.hints),
            sentence=sentence_out(said.sentence),
        )

    @router.get("/{trigger_id}", operation_id="getTrigger")
    async def get(trigger_id: UUID, who: Reader, response: Response) -> TriggerOut:
        """A trigger with its draft and its published version. The ETag is its revision."""
        return _shown(await triggers.find(who.tenant_id, trigger_id), response)


def _editing(router: APIRouter, triggers: Triggers) -> None:
    @router.post("", operation_id="createTrigger", status_code=201, openapi_extra=DEFINITION)
    async def create(who: Writer, document: Document, response: Response) -> SavedOut:
        """Saves a new trigger as a draft, which fires nothing until it is published."""
        saved = await triggers.create(who, document)
        response.headers["Location"] = f"/v1/triggers/{saved.trigger.row.trigger_id}"
        return _saved(saved, response)

    @router.put("/{trigger_id}", operation_id="replaceTriggerDraft", openapi_extra=DEFINITION)
    async def replace(
        trigger_id: UUID, who: Writer, document: Document, revision: NeededRevision, response: Response
    ) -> SavedOut:
        """Replaces the draft; what is published goes on as it is. If-Match says which revision was edited."""
        return _saved(await triggers.replace(who, trigger_id, document, revision), response)

    @router.post("/{trigger_id}/duplicate", operation_id="duplicateTrigger", status_code=201)
    async def duplicate(
        trigger_id: UUID, who: Writer, response: Response, copy: Copy = SAME_NAME
    ) -> SavedOut:
        """A new draft with the same definition, and secrets of its own."""
        saved = await triggers.duplicate(who, trigger_id, copy.name)
        response.headers["Location"] = f"/v1/triggers/{saved.trigger.row.trigger_id}"
        return _saved(saved, response)

    @router.post("/{trigger_id}/actions/{action_key}/secret", operation_id="rotateActionSecret")
    async def rotate_secret(trigger_id: UUID, action_key: str, who: Writer) -> SecretOut:
        """A new signing secret, shown this once. For 24 hours requests are signed with the one before as well."""
        secret = await triggers.rotate_secret(who, trigger_id, action_key)
        return SecretOut(action_key=action_key, secret=secret)


def _steps(router: APIRouter, triggers: Triggers, publishing: Publishing) -> None:
    @router.post("/{trigger_id}/publish", operation_id="publishTrigger")
    async def publish(
        trigger_id: UUID, who: Writer, revision: Revision, response: Response, why: Why = NO_REASON
    ) -> TriggerOut:
        """The draft becomes the next version and decides about every event recorded from now on."""
        await publishing.publish(who, trigger_id, why.reason, revision)
        return _shown(await triggers.find(who.tenant_id, trigger_id), response)

    @router.post("/{trigger_id}/disable", operation_id="disableTrigger")
    async def disable(
        trigger_id: UUID, who: Writer, revision: Revision, response: Response, why: Why = NO_REASON
    ) -> TriggerOut:
        """It fires no more. Runs that have begun go on."""
        await publishing.disable(who, trigger_id, why.reason, revision)
        return _shown(await triggers.find(who.tenant_id, trigger_id), response)

    @router.post("/{trigger_id}/enable", operation_id="enableTrigger")
    async def enable(
        trigger_id: UUID, who: Writer, revision: Revision, response: Response, why: Why = NO_REASON
    ) -> TriggerOut:
        """The current version decides again, about events from now on; what came meanwhile fires nothing."""
        await publishing.enable(who, trigger_id, why.reason, revision)
        return _shown(await triggers.find(who.tenant_id, trigger_id), response)

    @router.delete("/{trigger_id}", operation_id="deleteTrigger", status_code=204)
    async def delete(trigger_id: UUID, who: Writer, revision: Revision, reason: Word = None) -> None:
        """Switches it off and takes it out of every list. Its runs stay readable."""
        await publishing.delete(who, trigger_id, reason or "", revision)


def _versions(router: APIRouter, triggers: Triggers, publishing: Publishing) -> None:
    @router.get("/{trigger_id}/versions", operation_id="listTriggerVersions")
    async def list_versions(
        trigger_id: UUID, who: Reader, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
    ) -> Page[VersionSummary]:
        """What was published, newest first, by whom and why."""
        views = await triggers.versions(who.tenant_id, trigger_id, _VERSIONS.read(cursor), limit + 1)
        page = _VERSIONS.page(views, limit, lambda view: view.row.version)
        return Page(
            items=[VersionSummary(**_version(view)) for view in page.items], next_cursor=page.next_cursor
        )

    @router.get("/{trigger_id}/versions/{version}", operation_id="getTriggerVersion")
    async def get_version(trigger_id: UUID, version: Version, who: Reader) -> VersionOut:
        """A version as it was; it never changes. Also of a deleted trigger: runs lead here."""
        view = await triggers.version(who.tenant_id, trigger_id, version)
        return VersionOut(**_version(view), definition=dict(view.definition))

    @router.post("/{trigger_id}/versions/{version}/restore", operation_id="restoreTriggerVersion")
    async def restore(
        trigger_id: UUID,
        version: Version,
        who: Writer,
        revision: Revision,
        response: Response,
        why: Why = NO_REASON,
    ) -> TriggerOut:
        """Publishes an old version's definition as the next version, from now on. A draft in progress stays."""
        await publishing.restore(who, trigger_id, version, why.reason, revision)
        return _shown(await triggers.find(who.tenant_id, trigger_id), response)


def _summary(view: TriggerView) -> TriggerSummary:
    return TriggerSummary(**_common(view))


def _shown(view: TriggerView, response: Response) -> TriggerOut:
    response.headers["ETag"] = f'"{view.row.revision}"'
    return TriggerOut(**_common(view), **_definitions(view))


def _saved(saved: Saved, response: Response) -> SavedOut:
    view = saved.trigger
    response.headers["ETag"] = f'"{view.row.revision}"'
    return SavedOut(
        **_common(view), **_definitions(view), secrets=dict(saved.secrets), hints=flaws_out(saved.hints)
    )


def _common(view: TriggerView) -> dict[str, Any]:
    row = view.row
    document = view.draft or view.published or {}
    return {
        "id": row.trigger_id,
        "name": row.name,
        "status": row.status,
        "event_type": document.get("event_type", row.event_type or ""),
        "sentence": sentence_out(view.sentence),
        "version": row.version,
        "has_draft": view.draft is not None,
        "revision": row.revision,
        "execution_count": row.executions,
        "last_run_at": row.last_run_at,
        "last_run_id": row.last_run_id,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
    }


def _definitions(view: TriggerView) -> dict[str, Any]:
    return {"draft": view.draft, "published": view.published, "effective_after": view.row.effective_after}


def _version(view: VersionView) -> dict[str, Any]:
    row = view.row
    return {
        "version": row.version,
        "published_at": row.published_at,
        "published_by": row.published_by,
        "reason": row.reason,
        "sentence": sentence_out(view.sentence),
    }

"""What a trigger may do: one class per kind, told apart by `kind`.

A further kind is a further class here and a further member of `Action`. Each says which of its parameters may be
templates (`templates`), and checks what only it knows (`own_flaws`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from nexus_shared.errors import Flaw
from nexus_trigger_processor.domain.fields import FieldSet
from nexus_trigger_processor.domain.templates import (
    MissingPolicy,
    Parameters,
    check_parameters,
    compile_parameters,
    is_template,
)

Value = TypeVar("Value")
Check = Callable[[Value, str], list[Flaw]]
"""(value, pointer) → what is wrong with it."""


@dataclass(frozen=True, slots=True)
class OutsideChecks:
    """What is known elsewhere about calls outside: which addresses, headers and signing secrets are acceptable."""

    url: Check[str]
    headers: Check[Mapping[str, str]]
    secret: Check[str]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WebhookParameters(Strict):
    """Where to, and what. Without a `body` the event itself is sent, as a CloudEvent; texts in it may be templates."""

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    headers: dict[str, str] = Field(default_factory=dict)
    secret: SecretStr | None = Field(default=None, description="Signs the requests; given once, never shown")
    body: JsonValue = None


class ActionBase(Strict):
    """What all kinds share. `key` names the step: unique in the trigger, and a part of ids, so it should not change."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 9
    missing: MissingPolicy = "fail"

    def templates(self) -> dict[str, Any]:
        """The parameters without secrets, texts in them perhaps templates."""
        raise NotImplementedError

    def own_flaws(self, at: str, checks: OutsideChecks) -> list[Flaw]:
        """What is wrong beyond types and templates."""
        return []

    def flaws(self, fields: FieldSet, at: str, checks: OutsideChecks) -> list[Flaw]:
        """All that is wrong, for events with these fields; `at` points to this action."""
        return self.own_flaws(at, checks) + check_parameters(self.templates(), fields, f"{at}/parameters")


class SendWebhook(ActionBase):
    """POSTs JSON to an address, signed."""

    kind: Literal["send_webhook"]
    parameters: WebhookParameters

    def templates(self) -> dict[str, Any]:
        """{"url", "headers", "body"}; body is None when the event itself is to be sent."""
        given = self.parameters
        return {"url": given.url, "headers": given.headers, "body": given.body}

    def own_flaws(self, at: str, checks: OutsideChecks) -> list[Flaw]:
        given, at = self.parameters, f"{at}/parameters"
        flaws = checks.headers(given.headers, f"{at}/headers")
        if is_template(given.url):
            flaws.append(Flaw(f"{at}/url", "The address cannot be a template: write it out", "url"))
        else:
            flaws += checks.url(given.url, f"{at}/url")
        if any(is_template(value) for value in given.headers.values()):
            flaws.append(
                Flaw(f"{at}/headers", "Headers cannot be templates: put the values in the body", "header")
            )
        if given.secret is not None:
            flaws += checks.secret(given.secret.get_secret_value(), f"{at}/secret")
        return flaws


Action = SendWebhook
"""Any action. With a second kind: `Annotated[SendWebhook | ExecuteWorkflow, Field(discriminator="kind")]`."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledAction:
    """An action, ready to be filled in. It holds no secret."""

    key: str
    kind: str
    max_attempts: int
    missing: MissingPolicy
    parameters: Parameters

    def render(self, values: Mapping[str, Any]) -> Any:
        """The parameters for one event, as JSON. Raises RenderFailed, MissingField."""
        return self.parameters.render(values, self.missing)


def compile_action(action: Action) -> CompiledAction:
    parameters = compile_parameters(action.templates())
    return CompiledAction(
        intern(action.key), intern(action.kind), action.max_attempts, action.missing, parameters
    )

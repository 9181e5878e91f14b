"""Workflows: runs in n8n that we started, and templates that were installed."""

from __future__ import annotations

from typing import Any

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import N8N_BRIDGE, Family
from nexus_shared.catalogue.values import Id, ListOf, Number, Text

family = Family("workflow", "Fluxos n8n", subject="execution/{execution_id}", owners=(N8N_BRIDGE,))


class WorkflowExecution(EventData):
    """One run of a workflow in n8n."""

    workflow_id: Id | None = open_field("The workflow's id in n8n")
    execution_id: Id = open_field("The run's id in n8n", required=True)
    action_id: Id | None = open_field("The action that started it")
    duration_ms: Number | None = open_field("Milliseconds it took")
    error: Text | None = personal_field("What n8n said went wrong")


@family.event(
    "workflow.execution_started",
    meaning="A workflow of ours began to run in n8n",
    meaning_pt="Um fluxo começou a ser executado no n8n.",
    used_by="feed",
)
class WorkflowExecutionStarted(WorkflowExecution):
    pass


@family.event(
    "workflow.execution_succeeded",
    meaning="A workflow of ours ran to its end in n8n",
    meaning_pt="Um fluxo terminou com sucesso no n8n.",
    used_by="feed",
)
class WorkflowExecutionSucceeded(WorkflowExecution):
    pass


@family.event(
    "workflow.execution_failed",
    meaning="A workflow of ours failed in n8n",
    meaning_pt="Um fluxo falhou no n8n.",
    used_by="feed",
)
class WorkflowExecutionFailed(WorkflowExecution):
    pass


class Created(Part):
    """What a template became."""

    triggers: ListOf[Id] | None = open_field("Ids of the triggers made")
    workflows: ListOf[Id] | None = open_field("Ids of the workflows made in n8n")


@family.event(
    "workflow.template_installed",
    meaning="A template became triggers and workflows",
    meaning_pt="Um modelo de automação foi instalado na clínica.",
    subjects=("template/{template_id}",),
    used_by="feed",
)
class WorkflowTemplateInstalled(EventData):
    template_id: Id = open_field("The template", required=True)
    parameters: dict[str, Any] | None = personal_field("What the clinic filled in")
    created: Created | None = open_field("What was made of it")

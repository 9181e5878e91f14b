"""Activities: tasks and notes for the CRM."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, Part, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, When

family = Family("activity", "Tarefas", subject="activity/{activity_id}")


class Related(Part):
    """What a task is about."""

    type: Line | None = open_field("What sort of thing", values=("lead", "patient", "appointment", "invoice"))
    id: Id | None = open_field("Its id")


@family.event(
    "activity.created",
    meaning="A task or note for the CRM",
    meaning_pt="Uma tarefa ou anotação foi criada para a equipe.",
    used_by="feed",
)
class ActivityCreated(EventData):
    activity_id: Id = open_field("The activity", required=True)
    kind: Line | None = open_field("What sort of activity", values=("task", "note", "call"))
    title: Line | None = personal_field("What to do")
    due_at: When | None = open_field("By when")
    assignee_id: Id | None = open_field("Who should do it")
    related: Related | None = open_field("What it is about")
    action_id: Id | None = open_field("The action that created it")

"""Surveys: how satisfied patients are."""

from __future__ import annotations

from nexus_shared.catalogue.base import EventData, open_field, personal_field
from nexus_shared.catalogue.event_type import Family
from nexus_shared.catalogue.values import Id, Line, Number, Text, When

family = Family("survey", "Pesquisas de satisfação", subject="survey/{survey_id}")


class SurveyData(EventData):
    """A survey and who was asked."""

    survey_id: Id = open_field("The survey sent to this person", required=True)
    patient_id: Id | None = open_field("The patient")
    appointment_id: Id | None = open_field("The appointment it asks about")


@family.event(
    "survey.sent",
    meaning="A survey was sent",
    meaning_pt="Uma pesquisa de satisfação foi enviada.",
    used_by="T4",
)
class SurveySent(SurveyData):
    kind: Line | None = open_field("What sort of survey", values=("nps", "csat"))
    action_id: Id | None = open_field("The action that sent it")


@family.event(
    "survey.answered",
    meaning="A survey was answered",
    meaning_pt="Um paciente respondeu à pesquisa de satisfação.",
    used_by="T4 A3",
)
class SurveyAnswered(SurveyData):
    score: Number | None = open_field("The points given: 0 to 10 for NPS")
    comment: Text | None = personal_field("What the patient wrote")
    professional_id: Id | None = open_field("The professional it is about")
    hours_to_answer: Number | None = open_field("Hours since it was sent")


@family.event(
    "survey.detractor_identified",
    meaning="A survey came back with a low score",
    meaning_pt="Um paciente deu uma nota baixa na pesquisa.",
    used_by="T4",
    is_derived=True,
)
class SurveyDetractorIdentified(SurveyData):
    score: Number | None = open_field("The points given")
    comment: Text | None = personal_field("What the patient wrote")
    owner_id: Id | None = open_field("The team member who should call back")
    due_at: When | None = open_field("By when")

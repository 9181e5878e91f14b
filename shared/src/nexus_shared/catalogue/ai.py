"""What the AI found out, predicted or drafted."""

from __future__ import annotations

from typing import Literal

from nexus_shared.catalogue.base import EventData, financial_field, health_field, open_field, personal_field
from nexus_shared.catalogue.event_type import AI_SERVICE, Family
from nexus_shared.catalogue.values import Count, Flag, Id, Line, ListOf, Number, Share, Text, When

family = Family("ai", "Inteligência artificial", owners=(AI_SERVICE,))

CONVERSATION = "conversation/{conversation_id}"


@family.event(
    "ai.lead_analyzed",
    meaning="A lead was analysed",
    meaning_pt="A inteligência artificial analisou um lead.",
    subjects=("lead/{lead_id}", "ai_interaction/{ai_interaction_id}"),
    used_by="A1",
)
class AiLeadAnalyzed(EventData):
    ai_interaction_id: Id = open_field("The AI call behind it", required=True)
    lead_id: Id = open_field("The lead", required=True)
    intent: Line | None = health_field("What the lead wants; it may tell about a treatment")
    urgency: Line | None = health_field("How urgent it is", values=("low", "normal", "high"))
    budget_signal: Line | None = financial_field(
        "What the lead seems able to spend", values=("low", "medium", "high")
    )
    next_best_action: Text | None = personal_field("What the team should do next")
    confidence: Share | None = open_field("How sure the model is, 0 to 1")
    evidence_message_ids: ListOf[Id] | None = open_field("The messages it rests on")
    model: Line | None = open_field("The model used")
    prompt_version: Line | None = open_field("The prompt's version")
    cost_micros: Count | None = financial_field("What the call cost, in millionths of a US dollar")


@family.event(
    "ai.no_show_predicted",
    meaning="How likely a patient is to miss an appointment",
    meaning_pt="A inteligência artificial calculou a chance de um paciente faltar à consulta.",
    subjects=("appointment/{appointment_id}",),
    used_by="T2 A2",
)
class AiNoShowPredicted(EventData):
    appointment_id: Id = open_field("The appointment", required=True)
    patient_id: Id | None = open_field("The patient")
    probability: Share = open_field("Probability that the patient does not come, 0 to 1", required=True)
    band: Line | None = open_field("The probability in words", values=("low", "medium", "high"))
    top_factors: ListOf[Line] | None = personal_field("What weighed most, as codes")
    model_version: Line | None = open_field("The model's version")
    horizon_hours: Number | None = open_field("Hours until the appointment when it was computed")


@family.event(
    "ai.sentiment_detected",
    meaning="How a message or survey answer is meant",
    meaning_pt="A inteligência artificial identificou o sentimento de uma mensagem ou resposta.",
    subjects=(CONVERSATION, "survey/{survey_id}"),
    used_by="A3 T4",
    one_of=("message_id", "survey_id"),
)
class AiSentimentDetected(EventData):
    message_id: Id | None = open_field("The message")
    conversation_id: Id | None = open_field("The message's conversation; the subject names it too")
    survey_id: Id | None = open_field("The survey")
    label: Line | None = open_field("The sentiment", values=("positive", "neutral", "negative"))
    score: Number | None = open_field("From -1 (bad) to 1 (good)")
    topics: ListOf[Line] | None = personal_field("What it is about")
    risk_flags: ListOf[Line] | None = health_field(
        "What needs attention at once", values=("complaint", "legal", "clinical_urgency")
    )


@family.event(
    "ai.reply_suggested",
    meaning="A draft answer is ready",
    meaning_pt="A inteligência artificial preparou uma sugestão de resposta.",
    subjects=(CONVERSATION,),
    used_by="A5",
)
class AiReplySuggested(EventData):
    ai_interaction_id: Id = open_field("The AI call behind it", required=True)
    conversation_id: Id = open_field("The conversation", required=True)
    draft: Text | None = personal_field("The answer suggested")
    sources: ListOf[Line] | None = open_field("Documents of the clinic it rests on")
    confidence: Share | None = open_field("How sure the model is, 0 to 1")
    needs_human: Flag | None = open_field("A person must decide")
    expires_at: When | None = open_field("From then on it is out of date")


@family.event(
    "ai.reply_reviewed",
    meaning="A person decided about a draft answer",
    meaning_pt="Uma pessoa da equipe avaliou uma sugestão de resposta.",
    subjects=(CONVERSATION,),
)
class AiReplyReviewed(EventData):
    ai_interaction_id: Id = open_field("The AI call behind the draft", required=True)
    conversation_id: Id | None = open_field("The conversation; the subject names it too")
    decision: Literal["accepted", "edited", "rejected"] = open_field(
        "What became of the draft", required=True
    )
    edit_distance: Number | None = open_field("How much of it was changed")
    by_user_id: Id | None = open_field("Who decided")

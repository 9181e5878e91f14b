"""What event types, fields and values are called in a sentence, in Portuguese and in English."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, Literal

from nexus_shared import catalogue
from nexus_trigger_processor.domain.fields import Field
from nexus_trigger_processor.domain.templates.filters import money_br

Language = Literal["pt", "en"]

MAX_QUOTED = 80

# The catalogue says what happened; a trigger says when it happens.
_PRESENT = {
    "analisou": "analisa", "assumiu": "assume", "autorizou": "autoriza", "avaliou": "avalia", "calculou": "calcula",
    "chegou": "chega", "começou": "começa", "confirmou": "confirma", "deixou": "deixa", "deu": "dá",
    "devolveu": "devolve", "entrou": "entra", "falhou": "falha", "faltou": "falta", "ficou": "fica", "foi": "é",
    "foram": "são", "identificou": "identifica", "indicou": "indica", "mudou": "muda", "passou": "passa",
    "pediu": "pede", "preparou": "prepara", "prometeu": "promete", "pôde": "pode", "recebeu": "recebe",
    "respondeu": "responde", "retirou": "retira", "terminou": "termina", "venceu": "vence", "virou": "vira",
    "voltou": "volta",
}  # fmt: skip
_PAST = re.compile(r"\b(" + "|".join(_PRESENT) + r")\b")
_OWN_PHRASES = {
    "lead.created": "um lead é criado",
    "automation.action_unknown": "não se sabe se uma ação foi concluída",
}

_LABELS_PT = {
    "account_id": "conta", "action_id": "ação", "activity_id": "atividade", "ad_id": "anúncio",
    "age": "idade", "amount_cents": "valor", "appointment_id": "consulta", "arrived_at": "chegada",
    "assignee_id": "responsável", "at": "data e hora", "attempt": "tentativa", "attempts": "tentativas",
    "band": "faixa de risco", "birth_date": "data de nascimento", "body": "corpo",
    "boleto_line": "linha do boleto", "booked_by": "agendado por", "booked_channel": "canal do agendamento",
    "bucket": "faixa de atraso", "budget_signal": "sinal de orçamento", "by": "por", "campaign": "campanha",
    "cancelled_by": "cancelado por", "changed_fields": "campos alterados", "channel": "canal",
    "chat_id": "conversa do WhatsApp", "code": "código", "comment": "comentário",
    "competitor": "concorrente", "confidence": "confiança", "confirmed": "confirmada",
    "confirmed_at": "confirmação", "consent": "consentimento", "contact": "contato",
    "contact_id": "contato", "conversation_id": "conversa", "created": "criados", "criteria": "critérios",
    "days_in_previous": "dias na etapa anterior", "days_inactive": "dias sem consulta",
    "days_overdue": "dias de atraso", "days_to_convert": "dias até a conversão",
    "days_to_due": "dias até o vencimento", "debtor_contact_id": "responsável pelo pagamento",
    "decision": "decisão", "delay_minutes": "minutos de atraso", "draft": "rascunho", "due_at": "prazo",
    "due_date": "vencimento", "duration_ms": "duração", "email": "e-mail", "ends_at": "término",
    "error": "erro", "expired": "vencido", "expires_at": "validade", "failure_code": "motivo da recusa",
    "fine_cents": "multa", "finished_at": "término", "first_visit": "primeira consulta", "from": "antes",
    "from_owner_id": "responsável anterior", "from_phone": "telefone de origem",
    "from_status": "etapa anterior", "fully_settled": "quitado", "gender": "gênero",
    "grade": "classificação", "guardian": "responsável legal", "hold_until": "pausa até",
    "hours_before": "horas de antecedência", "hours_to_answer": "horas até a resposta",
    "id": "identificação", "idle_days": "dias sem contato", "in_dispute": "em contestação",
    "installment_no": "parcela", "installments": "parcelas", "installments_max": "máximo de parcelas",
    "installments_total": "total de parcelas", "insurance_id": "convênio", "intent": "intenção",
    "interest_cents": "juros", "interest_service_id": "serviço de interesse", "interest_text": "interesse",
    "invoice_id": "cobrança", "ip": "IP", "is_first_contact": "primeiro contato", "items": "itens",
    "kind": "tipo", "label": "sentimento", "last_activity_at": "última atividade",
    "last_channel": "último canal", "last_completed_at": "última consulta",
    "last_service_id": "último serviço", "last_visit_at": "última visita", "lead_id": "lead",
    "lead_time_hours": "horas até a consulta", "lifetime_value_cents": "valor total do paciente",
    "limit": "limite", "marketing": "marketing", "media": "mídia", "medium": "mídia",
    "message_first": "primeira mensagem", "message_id": "mensagem", "method": "forma", "minutes": "minutos",
    "modality": "modalidade", "name": "nome", "needs_human": "precisa de uma pessoa",
    "next_best_action": "próxima ação", "next_recommended_at": "próximo retorno",
    "no_show_count_12m": "faltas em 12 meses", "open_treatment": "tratamento em aberto",
    "origin": "origem da mensagem", "owner_id": "responsável", "paid_at": "pagamento",
    "patient_id": "paciente", "payment_id": "pagamento", "payment_url": "link de pagamento",
    "permanent": "definitivo", "phone": "telefone", "pipeline_id": "funil",
    "pix_copy_paste": "Pix copia e cola", "preferred_channel": "canal preferido",
    "preferred_name": "nome preferido", "preparation_text": "preparo", "previous": "valores anteriores",
    "price_cents": "preço", "priority": "prioridade", "probability": "probabilidade",
    "procedure_codes": "procedimentos", "professional_id": "profissional",
    "professional_ids": "profissionais", "professional_name": "nome do profissional",
    "promise_date": "data prometida", "proof": "comprovação", "purpose": "finalidade",
    "quote_id": "orçamento", "reason": "motivo", "reason_code": "motivo",
    "reason_text": "motivo em palavras", "received_at": "recebimento", "referred_by": "indicado por",
    "referred_lead_id": "lead indicado", "refill_allowed": "pode reocupar o horário",
    "reminders_sent": "lembretes enviados", "reply_to_action_id": "resposta à ação",
    "requested_by": "pedido por", "result": "resultado", "retryable": "pode tentar de novo",
    "risk_flags": "alertas", "risk_score": "risco", "run_id": "execução", "score": "pontuação",
    "service_id": "serviço", "service_name": "nome do serviço", "session_id": "sessão do WhatsApp",
    "severity": "gravidade", "signed_at": "assinatura", "since": "desde", "size": "tamanho",
    "source": "origem", "starts_at": "início", "status": "situação", "step": "passo", "subject": "assunto",
    "survey_id": "pesquisa", "template_id": "modelo", "text": "texto", "time": "data e hora",
    "times_rescheduled": "remarcações", "title": "título", "to": "depois",
    "to_owner_id": "novo responsável", "to_phone": "telefone de destino", "to_status": "nova etapa",
    "top_factors": "principais fatores", "topics": "assuntos", "total_cents": "valor total",
    "transcript": "transcrição", "trigger_id": "automação", "type": "tipo", "tz": "fuso horário",
    "unit_address": "endereço da unidade", "unit_id": "unidade", "until": "até",
    "updated_amount_cents": "valor atualizado", "urgency": "urgência", "useless_after": "útil até",
    "utm": "utm", "valid_until": "validade", "value": "valor", "version": "versão",
    "waiting_minutes": "minutos de espera", "whatsapp": "WhatsApp", "window_expires_at": "fim da janela",
    "windows": "horários possíveis", "words": "palavras", "workflow_id": "fluxo",
}  # fmt: skip
_ENVELOPE_PT = {
    "type": "tipo do evento",
    "source": "sistema de origem",
    "subject": "assunto",
    "time": "data do evento",
}


def happening(event_type: str, language: Language) -> str:
    """What a trigger waits for: "uma consulta é agendada", "appointment.scheduled happens"."""
    if language == "en":
        return f"{event_type} happens"
    known = catalogue.find(event_type)
    if known is None:
        return f'chega um evento "{event_type}"'
    present = _PAST.sub(lambda past: _PRESENT[past.group()], known.meaning_pt.rstrip("."))
    return _OWN_PHRASES.get(event_type) or _uncapitalised(present)


def label(path: str, language: Language) -> str:
    """What a field is called: "origem", nested "utm › origem"."""
    if "." not in path:
        return _ENVELOPE_PT.get(path, path) if language == "pt" else f"event {path}"
    names = path.split(".")[1:]
    return " › ".join(_named(name, language) for name in names)


def spoken(value: Any, language: Language, field: Field | None = None) -> str:
    """A value as a sentence says it: texts in quotes, money, dates and booleans in the reader's form."""
    pt = language == "pt"
    match value:
        case bool():
            return ("sim" if value else "não") if pt else ("yes" if value else "no")
        case int() if field is not None and field.type == "money":
            return money_br(value)
        case float() | int():
            return str(value).replace(".", ",") if pt else str(value)
        case str():
            return _spoken_text(value, pt=pt, field=field)
        case list():
            return listed([spoken(each, language, field) for each in value], "ou" if pt else "or")
        case None:
            return "nada" if pt else "nothing"
        case _:
            return "um objeto" if pt else "an object"


def _spoken_text(value: str, *, pt: bool, field: Field | None) -> str:
    if pt and field is not None and field.type in ("date", "datetime"):
        try:
            if field.type == "date":
                return f"{date.fromisoformat(value):%d/%m/%Y}"
            return f"{datetime.fromisoformat(value):%d/%m/%Y às %H:%M}"
        except ValueError:
            pass  # a text all the same
    return f'"{value[:MAX_QUOTED]}…"' if len(value) > MAX_QUOTED else f'"{value}"'


def listed(words: list[str], conjunction: str) -> str:
    """ "a, b ou c"; of many only the first four."""
    if len(words) > 5:
        words = [*words[:4], "…"]
    return f" {conjunction} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _named(name: str, language: Language) -> str:
    plain = name.replace("_", " ")
    return _LABELS_PT.get(name, plain) if language == "pt" else plain


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]

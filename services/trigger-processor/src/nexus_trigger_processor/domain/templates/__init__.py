"""Texts and JSON parameters with values of the event in them.

    Olá {{ data.name | first_name }}, até {{ data.starts_at | date_br: "weekday" }} às {{ data.starts_at | time_br }}!

They see the event (`data.…`, `type`, `source`, `subject`, `time`, `id`) and what CONTEXT lists. A text that is nothing
but `{{ path }}`, or `{{ path | default: … }}`, gives the value as it is (a number, a list, an object); every other
one gives a text.
"""

from nexus_trigger_processor.domain.templates.filling import (
    CONTEXT,
    Parameters,
    Template,
    check_parameters,
    check_template,
    compile_parameters,
    is_template,
)
from nexus_trigger_processor.domain.templates.language import MissingField, MissingPolicy, RenderFailed

__all__ = [
    "CONTEXT",
    "MissingField",
    "MissingPolicy",
    "Parameters",
    "RenderFailed",
    "Template",
    "check_parameters",
    "check_template",
    "compile_parameters",
    "is_template",
]

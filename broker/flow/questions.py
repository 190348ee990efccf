"""A question as it is kept between admission and asking: canonical bytes, encrypted by the caller."""

from __future__ import annotations

import json
from typing import Any

from broker.core.answer import Matter, Question
from broker.core.case import Operator, Party
from broker.core.catalog import Form
from broker.core.envelope import canonical


def question_bytes(question: Question) -> bytes:
    """The question without its lookup id, which is the row's own."""
    matter = question.matter
    return canonical(
        {
            "source": question.source,
            "form": question.form.value,
            "subject": _party(question.subject),
            "related": _party(question.related) if question.related else None,
            "fields": list(question.fields),
            "token": question.token,
            "certificates": list(question.certificates),
            "matter": {
                "system": matter.system,
                "case_number": matter.case_number,
                "item_code": matter.item_code,
                "item_name": matter.item_name,
                "material_name": matter.material_name,
                "region": matter.region,
                "basis": matter.basis,
                "legal_basis": matter.legal_basis,
                "applicant": _party(matter.applicant),
                "operator": [matter.operator.id, matter.operator.name, matter.operator.unit, matter.operator.unit_name],
            },
        }
    )


def question_from(lookup_id: str, body: bytes) -> Question:
    """The question as it was admitted; what an earlier release did not keep has its default."""
    document = json.loads(body)
    matter = document["matter"] | {
        "applicant": Party(*document["matter"]["applicant"]),
        "operator": Operator(*document["matter"]["operator"]),
    }
    return Question(
        lookup_id=lookup_id,
        source=document["source"],
        form=Form(document["form"]),
        subject=Party(*document["subject"]),
        related=Party(*document["related"]) if document["related"] else None,
        fields=tuple(document["fields"]),
        matter=Matter(**matter),
        token=document.get("token", ""),
        certificates=tuple(document.get("certificates", ())),
    )


def _party(party: Party) -> list[Any]:
    return [party.role, party.id_type, party.number, party.name]

"""The list's own terms in both languages, as the glossary has them, and the states of a draft."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Text
from broker.core.list_terms import (
    APPLICANTS,
    CONNECTORS,
    CYCLES,
    FORMS,
    KINDS,
    LEVELS,
    MODES,
    OPERATIONS,
    SENSITIVITIES,
    SHARING,
    STATES,
)

__all__ = [
    "ACTS",
    "APPLICANTS",
    "CONNECTORS",
    "CYCLES",
    "DRAFT_STATES",
    "FORMS",
    "KINDS",
    "LEVELS",
    "MODES",
    "OPERATIONS",
    "SENSITIVITIES",
    "SHARING",
    "STATES",
]

DRAFT_STATES: Mapping[str, Text] = {
    "draft": {"zh": "起草中", "en": "being drafted"},
    "submitted": {"zh": "待审核", "en": "waiting for review"},
    "approved": {"zh": "已通过，待发布", "en": "approved, to be published"},
    "rejected": {"zh": "已退回", "en": "returned"},
    "published": {"zh": "已发布", "en": "published"},
    "discarded": {"zh": "已作废", "en": "discarded"},
}
ACTS: Mapping[str, Text] = {  # what a line of a draft's thread tells of
    "remark": {"zh": "意见", "en": "remark"},
    "submitted": {"zh": "提交审核", "en": "handed in"},
    "approved": {"zh": "审核通过", "en": "approved"},
    "rejected": {"zh": "退回", "en": "returned"},
    "draft_withdrawn": {"zh": "撤回", "en": "taken back"},
    "draft_reworked": {"zh": "重新修改", "en": "taken up again"},
    "draft_discarded": {"zh": "作废", "en": "discarded"},
    "rebased": {"zh": "合并到新版本", "en": "brought onto a newer edition"},
    "continued": {"zh": "由另一草稿延续", "en": "carried on from another draft"},
}

"""The terms of grants in both languages, as the glossary has them."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Text

APPLICATION_STATES: Mapping[str, Text] = {
    "applied": {"zh": "已申请，待审批", "en": "waiting for a decision"},
    "approved": {"zh": "已批准", "en": "approved"},
    "trimmed": {"zh": "核减批准", "en": "approved for less"},
    "refused": {"zh": "不予批准", "en": "refused"},
}
GRANT_STATES: Mapping[str, Text] = {
    "in_force": {"zh": "生效", "en": "in force"},
    "suspended": {"zh": "已暂停", "en": "suspended"},
    "revoked": {"zh": "已撤销", "en": "revoked"},
    "expired": {"zh": "已过期", "en": "expired"},
    "not-yet": {"zh": "尚未生效", "en": "not yet in force"},
}

"""The list's own terms in both languages, as the glossary has them."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Text

MODES: Mapping[str, Text] = {
    "certificate": {"zh": "电子证照", "en": "electronic certificate"},
    "data_query": {"zh": "数据查询", "en": "data query"},
    "data_verify": {"zh": "数据核验", "en": "data verification"},
    "reuse": {"zh": "复用", "en": "reuse"},
    "scene_result": {"zh": "联办结果", "en": "result within the scene"},
    "department_check": {"zh": "部门间核查", "en": "check between departments"},
    "commitment": {"zh": "告知承诺", "en": "commitment"},
    "submission": {"zh": "申请人提交", "en": "submission"},
}
STATES: Mapping[str, Text] = {
    "confirmed": {"zh": "已确认", "en": "confirmed"},
    "proposed": {"zh": "拟议", "en": "proposed"},
    "missing": {"zh": "无来源", "en": "no source"},
    "ended": {"zh": "已取消", "en": "abolished"},
}
LEVELS: Mapping[str, Text] = {
    "national": {"zh": "国家级", "en": "national"},
    "province": {"zh": "省级", "en": "province"},
    "city": {"zh": "市级", "en": "city"},
    "county": {"zh": "县级", "en": "county"},
}
SHARING: Mapping[str, Text] = {
    "unconditional": {"zh": "无条件共享", "en": "unconditional"},
    "conditional": {"zh": "有条件共享", "en": "conditional"},
    "none": {"zh": "不予共享", "en": "not shared"},
}
DRAFT_STATES: Mapping[str, Text] = {
    "draft": {"zh": "起草中", "en": "being drafted"},
    "submitted": {"zh": "待审核", "en": "waiting for review"},
    "approved": {"zh": "已通过，待发布", "en": "approved, to be published"},
    "rejected": {"zh": "已退回", "en": "returned"},
    "published": {"zh": "已发布", "en": "published"},
}
KINDS: Mapping[str, Text] = {
    "certificate": {"zh": "证照", "en": "certificate"},
    "proof": {"zh": "证明", "en": "proof"},
    "form": {"zh": "表单", "en": "form"},
    "document": {"zh": "文书", "en": "document"},
}

"""The list's own terms in both languages: its properties and their values, as forms and differences name them."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Text


def _text(zh: str, en: str) -> Text:
    return {"zh": zh, "en": en}


MODES: Mapping[str, Text] = {
    "certificate": _text("电子证照", "electronic certificate"),
    "data_query": _text("数据查询", "data query"),
    "data_verify": _text("数据核验", "data verification"),
    "reuse": _text("复用", "reuse"),
    "scene_result": _text("联办结果", "result within the scene"),
    "department_check": _text("部门间核查", "check between departments"),
    "commitment": _text("告知承诺", "commitment"),
    "submission": _text("申请人提交", "submission"),
}
STATES: Mapping[str, Text] = {
    "confirmed": _text("已确认", "confirmed"),
    "proposed": _text("拟议", "proposed"),
    "missing": _text("无来源", "no source"),
    "ended": _text("已取消", "abolished"),
}
LEVELS: Mapping[str, Text] = {
    "national": _text("国家级", "national"),
    "province": _text("省级", "province"),
    "city": _text("市级", "city"),
    "county": _text("县级", "county"),
}
SHARING: Mapping[str, Text] = {
    "unconditional": _text("无条件共享", "unconditional"),
    "conditional": _text("有条件共享", "conditional"),
    "none": _text("不予共享", "not shared"),
}
KINDS: Mapping[str, Text] = {
    "certificate": _text("证照", "certificate"),
    "proof": _text("证明", "proof"),
    "form": _text("表单", "form"),
    "document": _text("文书", "document"),
}
FORMS: Mapping[str, Text] = {
    "query": _text("查询", "query"),
    "verify": _text("核验", "verification"),
    "file": _text("文件", "file"),
}
CONNECTORS: Mapping[str, Text] = {
    "certshare": _text("电子证照平台", "e-licence platform"),
    "exchange": _text("共享交换平台", "exchange platform"),
    "license_v1": _text("电子证照应用接口", "licence application interface"),
    "open_gateway": _text("开放网关", "open gateway"),
    "front_table": _text("前置库", "front-end database"),
    "work_order": _text("人工答复（工单）", "people answer (work orders)"),
}
SENSITIVITIES: Mapping[str, Text] = {
    "general": _text("一般", "general"),
    "important": _text("重要", "important"),
    "sensitive": _text("敏感", "sensitive"),
}
CYCLES: Mapping[str, Text] = {
    "enterprise": _text("企业全生命周期", "enterprise life cycle"),
    "individual": _text("个人全生命周期", "individual life cycle"),
}
OPERATIONS: Mapping[str, Text] = {
    "equals": _text("等于", "equals"),
    "in": _text("属于", "is one of"),
    "not_expired": _text("未过期", "has not expired"),
    "present": _text("有值", "is there"),
}
APPLICANTS: Mapping[str, Text] = {
    "person": _text("个人", "a person"),
    "organisation": _text("单位", "an organisation"),
}
SECTIONS: Mapping[str, Text] = {
    "items": _text("事项", "item"),
    "materials": _text("材料", "material"),
    "sources": _text("数源", "source"),
    "scenes": _text("场景", "scene"),
    "regions": _text("地区", "region"),
    "master": _text("事项库关联", "library link"),
}
VALUES: Mapping[str, Mapping[str, Text]] = {  # by the property that has them
    "mode": MODES, "state": STATES, "level": LEVELS, "levels": LEVELS, "sharing": SHARING, "kind": KINDS,
    "form": FORMS, "forms": FORMS, "connector": CONNECTORS, "sensitivity": SENSITIVITIES, "life_cycle": CYCLES,
    "op": OPERATIONS,
}  # fmt: skip

# What stands in a row is called differently by what it is part of: a source offers fields, a step asks for them.
PROPERTIES: Mapping[str, Mapping[str, Text]] = {
    "item": {
        "name": _text("名称", "name"),
        "row": _text("所属序号行的名称", "name of its numbered row"),
        "type": _text("事项类型", "type of item"),
        "life_cycle": _text("生命周期", "life cycle"),
        "basis": _text("设定依据", "legal basis"),
        "task_code": _text("实施编码", "task code"),
        "no_commitment": _text("不适用告知承诺的原因", "why it excludes commitments"),
        "effective": _text("有效期", "in force"),
        "regions": _text("地区", "regions"),
        "materials": _text("材料要求", "required materials"),
    },
    "period": {
        "from": _text("起", "from"),
        "to": _text("止", "until"),
        "reason": _text("截止原因", "why it ends"),
    },
    "place": {
        "seq": _text("序号", "number in the plan"),
        "scene": _text("场景", "scene"),
        "level": _text("决定层级", "deciding level"),
        "lead": _text("牵头部门", "leading departments"),
        "coop": _text("协同部门", "cooperating departments"),
        "wording": _text("本地区的事项名称", "the row's name in this region"),
        "sub_wording": _text("本地区的办理项名称", "the sub-item's name in this region"),
        "note": _text("备注", "note"),
    },
    "requirement": {
        "material": _text("材料", "material"),
        "holder": _text("持有人", "holder"),
        "needed": _text("是否必需", "needed"),
        "when": _text("要求条件", "condition"),
        "effective": _text("要求期间", "demanded"),
    },
    "condition": {
        "party": _text("办件中有此角色时", "if the case has this role"),
        "applicant": _text("申请人是", "if the applicant is"),
        "fact": _text("申请中说明的情形（代号）", "fact the request states (its name)"),
        "is": _text("情形的值", "at this value"),
        "text": _text("情形的表述", "the condition in words"),
    },
    "material": {
        "name": _text("名称", "name"),
        "kind": _text("材料种类", "kind of material"),
        "basis": _text("设定依据", "legal basis"),
        "chain": _text("替代链", "replacement chain"),
    },
    "replacement": {
        "mode": _text("替代方式", "mode"),
        "state": _text("状态", "state"),
        "source": _text("数源", "source"),
        "form": _text("共享方式", "form"),
        "fields": _text("查询字段", "fields asked for"),
        "expect": _text("比对要求", "what must hold"),
        "related": _text("关联的另一人", "second person named"),
        "basis": _text("确认依据", "what confirms it"),
        "text": _text("承诺书文本及版本", "commitment text and version"),
        "item": _text("产生该材料的事项", "item that issues it"),
        "unit": _text("核查部门", "who checks"),
        "owner": _text("责任单位", "responsible body"),
        "due": _text("完成时限", "to be confirmed by"),
    },
    "expectation": {
        "field": _text("字段", "field"),
        "op": _text("比对方式", "comparison"),
        "values": _text("允许的值", "accepted values"),
        "to": _text("与谁比对", "compared with"),
    },
    "source": {
        "name": _text("名称", "name"),
        "authority": _text("数源部门", "authority"),
        "level": _text("数据所在层级", "level that keeps it"),
        "platform": _text("连接平台", "platform"),
        "connector": _text("接口类型", "connector"),
        "service": _text("服务编码", "service code"),
        "sharing": _text("共享属性", "sharing"),
        "forms": _text("共享方式", "forms"),
        "fields": _text("可提供字段", "fields it offers"),
        "freshness_days": _text("数据时效（天）", "days its data may be old"),
        "sensitivity": _text("敏感程度", "sensitivity"),
        "budget_ms": _text("单次时限（毫秒）", "milliseconds a lookup may take"),
        "calls_per_second": _text("每秒次数上限", "calls a second"),
        "calls_per_day": _text("每日次数上限", "calls a day"),
        "options": _text("接口参数", "connector's options"),
        "state": _text("状态", "state"),
        "unit": _text("数源部门统一社会信用代码", "authority's credit code"),
        "withheld": _text("不予共享清单", "negative list"),
    },
    "withheld": {
        "fields": _text("不提供的字段", "fields nobody is given"),
        "items": _text("不提供的事项", "items it is not given for"),
        "basis": _text("不予共享依据", "law that says so"),
    },
    "scene": {
        "life_cycle": _text("生命周期", "life cycle"),
        "stage": _text("阶段", "stage"),
        "name": _text("名称", "name"),
        "number": _text("编号", "number"),
    },
    "region": {"name": _text("名称", "name"), "levels": _text("可办理层级", "deciding levels")},
}
OPTIONS: Mapping[str, Text] = {  # of a source whose people answer
    "sla_working_days": _text("办理时限（工作日）", "days to answer (working days)"),
    "remind_working_days": _text("提前催办（工作日）", "reminded before (working days)"),
}
_PARTS: Mapping[tuple[str, str], str] = {  # which kind of thing stands under a property
    ("item", "regions"): "place", ("item", "materials"): "requirement", ("item", "effective"): "period",
    ("requirement", "when"): "condition", ("requirement", "effective"): "period", ("material", "chain"): "replacement",
    ("replacement", "expect"): "expectation", ("source", "withheld"): "withheld",
}  # fmt: skip
_KIND = {"items": "item", "materials": "material", "sources": "source", "scenes": "scene", "regions": "region"}
_LANGUAGES: Mapping[str, Text] = {"zh": _text("（中文）", " in Chinese"), "en": _text("（英文）", " in English")}


def property_name(section: str, path: tuple[str | int, ...]) -> Text:
    """What a property of a row is called, by its path in the row; what has no name of its own stands for itself."""
    kind: str | None = _KIND.get(section)
    names: list[Text] = []
    for step in path:
        known = PROPERTIES.get(kind or "", {}).get(str(step))
        if known is not None:
            if kind == "place" and names:
                names.pop()  # the region is named by itself
            names.append(known)
            kind = _PARTS.get((kind or "", str(step)))
        elif step in _LANGUAGES and names:
            names[-1] = {code: names[-1][code] + _LANGUAGES[str(step)][code] for code in ("zh", "en")}
        elif str(step) in OPTIONS:
            names.append(OPTIONS[str(step)])
        elif kind not in {"place", "requirement", "replacement", "expectation"}:  # their key or position is no property
            names.append(_text(str(step), str(step)))
    return {code: " ".join(name[code] for name in names) for code in ("zh", "en")}

"""The terms of cases in both languages, as the glossary has them."""

from __future__ import annotations

from collections.abc import Mapping

from broker.core.catalog import Text

CASE_STATES: Mapping[str, Text] = {
    "open": {"zh": "办理中", "en": "open"},
    "closed": {"zh": "已办结", "en": "closed"},
}
BASES: Mapping[str, Text] = {
    "statutory_duty": {"zh": "法定职责", "en": "statutory duty"},
    "holder_consent": {"zh": "持证人授权", "en": "consent of the holder"},
    "delegation": {"zh": "委托", "en": "delegation"},
}
CONSENT_STATES: Mapping[str, Text] = {
    "requested": {"zh": "已请求", "en": "requested"},
    "waiting": {"zh": "等待持证人", "en": "waiting for the holder"},
    "granted": {"zh": "已同意", "en": "granted"},
    "refused": {"zh": "已拒绝", "en": "refused"},
    "expired": {"zh": "已过期", "en": "expired"},
    "revoked": {"zh": "已撤回", "en": "revoked"},
}
FORMS: Mapping[str, Text] = {
    "query": {"zh": "查询", "en": "query"},
    "verify": {"zh": "核验", "en": "verification"},
    "file": {"zh": "文件", "en": "file"},
}
ENTRY_KINDS: Mapping[str, Text] = {
    "admitted": {"zh": "受理", "en": "admitted"},
    "party_added": {"zh": "增加当事人", "en": "party added"},
    "asked": {"zh": "向数源发出查询", "en": "source asked"},
    "answered": {"zh": "数源答复入库", "en": "answer recorded"},
    "stopped": {"zh": "查询前被停止", "en": "stopped before it was asked"},
    "waiting": {"zh": "等待答复", "en": "waits for the answer"},
    "ordered": {"zh": "发出核查工单", "en": "work order placed"},
    "order_viewed": {"zh": "工单被查看", "en": "work order read"},
    "order_answered": {"zh": "工单已答复", "en": "work order answered"},
    "order_overdue": {"zh": "工单逾期", "en": "work order overdue"},
    "order_stopped": {"zh": "工单停止", "en": "work order stopped"},
    "order_reminded": {"zh": "工单催办", "en": "work order reminded of"},
    "pending": {"zh": "出具初步凭证", "en": "preliminary receipt issued"},
    "decided": {"zh": "作出决定，出具凭证", "en": "decided, receipt issued"},
    "collected": {"zh": "报告收取了纸质材料", "en": "paper reported as taken"},
    "delivered": {"zh": "结果送达审批系统", "en": "delivered to the approval system"},
    "delivery_failed": {"zh": "送达未成功", "en": "delivery failed"},
    "reused": {"zh": "复用既有核验结果", "en": "earlier evidence reused"},
    "exemption_lost": {"zh": "不再免提交", "en": "exemption lost"},
    "promise_checked": {"zh": "承诺已核查", "en": "commitment checked"},
    "promise_left": {"zh": "承诺待人工核查", "en": "commitment left to a person"},
    "explained": {"zh": "查看决定说明", "en": "explanation given"},
    "objection_raised": {"zh": "提出数据异议", "en": "objection raised"},
    "record_marked": {"zh": "异议受理，记录标记", "en": "objection accepted, record marked"},
    "objection_refused": {"zh": "异议不予受理", "en": "objection refused"},
    "objection_verified": {"zh": "异议已核实", "en": "objection verified"},
    "record_unmarked": {"zh": "记录解除标记", "en": "mark lifted"},
    "record_corrected": {"zh": "数据已更正", "en": "record corrected"},
    "decision_reopened": {"zh": "决定须重新核验", "en": "decision reopened"},
    "objection_closed": {"zh": "异议办结", "en": "objection closed"},
    "objection_viewed": {"zh": "异议被查看", "en": "objection read"},
    "objection_overdue": {"zh": "异议逾期", "en": "objection overdue"},
    "consent_requested": {"zh": "请求持证人授权", "en": "consent asked for"},
    "consent_shown": {"zh": "授权请求已向持证人展示", "en": "consent shown to the holder"},
    "consent_granted": {"zh": "持证人同意授权", "en": "consent granted"},
    "consent_refused": {"zh": "持证人拒绝授权", "en": "consent refused"},
    "consent_revoked": {"zh": "持证人撤回授权", "en": "consent revoked"},
    "consent_expired": {"zh": "授权请求已过期", "en": "consent expired"},
    "viewed": {"zh": "在管理台查看", "en": "viewed in the console"},
}
ORDER_STATES: Mapping[str, Text] = {
    "open": {"zh": "待答复", "en": "open"},
    "answered": {"zh": "已答复", "en": "answered"},
    "overdue": {"zh": "已逾期", "en": "overdue"},
    "stopped": {"zh": "已停止", "en": "stopped"},
}
REPLIES: Mapping[str, Text] = {
    "confirm": {"zh": "属实", "en": "It is so"},
    "deny": {"zh": "不符", "en": "It is not so"},
    "cannot_say": {"zh": "无法核实", "en": "We cannot say"},
}
OBJECTION_STATES: Mapping[str, Text] = {
    "raised": {"zh": "已提出", "en": "raised"},
    "accepted": {"zh": "已受理，记录已标记", "en": "accepted, record marked"},
    "found_right": {"zh": "核实无误，待解除标记", "en": "found right, mark to be lifted"},
    "found_wrong": {"zh": "核实有误，待更正", "en": "found wrong, to be corrected"},
    "unmarked": {"zh": "已解除标记", "en": "mark lifted"},
    "corrected": {"zh": "已更正", "en": "corrected"},
    "closed": {"zh": "已办结", "en": "closed"},
    "refused": {"zh": "不予受理", "en": "refused"},
}
OBJECTION_ACTS: Mapping[str, Text] = {
    "raise": {"zh": "提出", "en": "raised"},
    "accept": {"zh": "受理并标记记录", "en": "Accept, and mark the record"},
    "refuse": {"zh": "不予受理", "en": "Refuse"},
    "find_right": {"zh": "核实：数据无误", "en": "Verified: the data is right"},
    "find_wrong": {"zh": "核实：数据有误", "en": "Verified: the data is wrong"},
    "unmark": {"zh": "解除标记", "en": "Lift the mark"},
    "correct": {"zh": "数据已更正，解除标记并通知", "en": "Corrected: lift the mark, and tell those concerned"},
    "close": {"zh": "办结归档", "en": "Close and file"},
}
ID_TYPES: Mapping[str, Text] = {  # those of people and bodies first that are met most
    "111": {"zh": "公民身份号码", "en": "Citizen identity number"},
    "001": {"zh": "统一社会信用代码", "en": "Unified social credit code"},
    "414": {"zh": "普通护照", "en": "Passport"},
    "516": {"zh": "港澳居民来往内地通行证", "en": "Travel permit of a resident of Hong Kong or Macao"},
    "511": {"zh": "台湾居民来往大陆通行证", "en": "Travel permit of a resident of Taiwan"},
    "551": {"zh": "港澳居民居住证", "en": "Residence permit of a resident of Hong Kong or Macao"},
    "552": {"zh": "台湾居民居住证", "en": "Residence permit of a resident of Taiwan"},
    "099": {"zh": "其他法人或其他组织有效证件代码", "en": "Other valid code of a body"},
    "114": {"zh": "军官证", "en": "Military officer's card"},
    "115": {"zh": "武警警官证", "en": "Armed police officer's card"},
    "118": {"zh": "解放军士兵证", "en": "Soldier's card"},
    "119": {"zh": "武警士兵证", "en": "Armed police soldier's card"},
    "120": {"zh": "解放军文职干部证", "en": "Military civilian cadre's card"},
    "122": {"zh": "武警文职干部证", "en": "Armed police civilian cadre's card"},
    "411": {"zh": "外交护照", "en": "Diplomatic passport"},
    "412": {"zh": "公务护照", "en": "Service passport"},
    "413": {"zh": "公务普通护照", "en": "Passport for public affairs"},
    "999": {"zh": "其他自然人有效证件代码", "en": "Other valid number of a person"},
}

"""What the kinds of entries, their facts and the rules against misuse are called in the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from broker.core.catalog import Text
from broker.core.misuse import RuleName
from broker.web.console.case_words import ENTRY_KINDS


def _text(zh: str, en: str) -> Text:
    return {"zh": zh, "en": en}


KINDS: Mapping[str, Text] = {
    **ENTRY_KINDS,
    "refused": _text("拒绝请求", "request refused"),
    "closed": _text("办件办结", "case closed"),
    "shredded": _text("销毁答复", "answers destroyed"),
    "answers_shredded": _text("到期答复销毁", "expired answers destroyed"),
    "managed": _text("平台管理调用", "platform call"),
    "managed_answered": _text("平台管理答复", "platform call answered"),
    "client_registered": _text("登记系统", "system registered"),
    "key_registered": _text("登记密钥", "key registered"),
    "key_revoked": _text("吊销密钥", "key revoked"),
    "own_key_registered": _text("登记平台密钥", "key of ours registered"),
    "own_key_prepared": _text("预备平台密钥", "key of ours prepared"),
    "own_key_rotated": _text("更换平台密钥", "key of ours replaced"),
    "own_key_limited": _text("限定平台密钥期限", "key of ours given an end"),
    "own_key_revoked": _text("吊销平台密钥", "key of ours revoked"),
    "source_key_registered": _text("登记数源凭据", "credential of a source registered"),
    "source_key_changed": _text("更换数源凭据", "credential of a source changed"),
    "source_key_removed": _text("移除数源凭据", "credential of a source removed"),
    "applied": _text("申请授权", "grant applied for"),
    "application_approved": _text("批准授权申请", "application approved"),
    "application_trimmed": _text("核减批准授权申请", "application approved for less"),
    "application_refused": _text("驳回授权申请", "application refused"),
    "application_reminded": _text("催办授权申请", "application reminded of"),
    "grant_registered": _text("登记授权", "grant registered"),
    "grant_in_force": _text("恢复授权", "grant restored"),
    "grant_suspended": _text("暂停授权", "grant suspended"),
    "grant_revoked": _text("撤销授权", "grant revoked"),
    "flagged": _text("标记异常", "conduct flagged"),
    "operator_stopped": _text("暂停经办人", "operator stopped"),
    "operator_released": _text("解除经办人暂停", "operator released"),
    "flag_cleared": _text("消除标记", "flag cleared"),
    "flag_confirmed": _text("确认标记", "flag confirmed"),
    "figures_frozen": _text("冻结月度统计", "month's figures frozen"),
    "annotated": _text("批注", "annotated"),
    "accesses_shown": _text("向本人展示查询记录", "accesses shown to the person"),
    "embargo_requested": _text("申请暂不公开", "embargo requested"),
    "embargo_lifted": _text("解除暂不公开", "embargo lifted"),
    "embargo_approved": _text("批准暂不公开", "embargo approved"),
    "alive": _text("日志存活", "log alive"),
    "entries_read": _text("读取日志条目", "entries read"),
    "exported": _text("导出日志", "log exported"),
    "table_exported": _text("导出表格", "table exported"),
    "person_sought": _text("按号码查找当事人", "person looked up by number"),
    "log_check_asked": _text("发起全量核验", "whole verification started"),
    "log_check_cancelled": _text("取消全量核验", "whole verification cancelled"),
    "log_checked": _text("全量核验完成", "whole verification done"),
    "drafted": _text("起草清单", "list drafted"),
    "draft_edited": _text("修改草稿", "draft changed"),
    "submitted": _text("提交草稿", "draft handed in"),
    "approved": _text("审核通过草稿", "draft approved"),
    "rejected": _text("退回草稿", "draft returned"),
    "published": _text("发布清单", "list published"),
    "reviewed": _text("审核草稿", "draft reviewed"),
    "draft_reworked": _text("重新修改草稿", "draft taken up again"),
    "draft_withdrawn": _text("撤回草稿", "draft taken back"),
    "draft_discarded": _text("作废草稿", "draft discarded"),
    "draft_rebased": _text("合并草稿到新版本", "draft brought onto a newer edition"),
    "draft_remarked": _text("对草稿提意见", "draft remarked on"),
    "edition_withdrawn": _text("撤回未生效版本", "edition taken back"),
    "preview_asked": _text("发起预演", "preview started"),
    "preview_cancelled": _text("取消预演", "preview cancelled"),
    "person_added": _text("开通账号", "account opened"),
    "person_assigned": _text("分配角色", "roles given"),
    "person_described": _text("更新账号信息", "name or body changed"),
    "person_active": _text("启用账号", "account enabled"),
    "person_disabled": _text("停用账号", "account disabled"),
    "person_unlocked": _text("解除登录锁定", "account unlocked"),
    "order_evidence_viewed": _text("查看核查依据附件", "evidence of a work order read"),
    "signed_in": _text("登录", "signed in"),
    "signed_out": _text("退出", "signed out"),
    "proved_again": _text("再次验证身份", "proved again who it is"),
    "sessions_ended": _text("退出其他登录", "own sessions ended"),
    "sign_in_refused": _text("登录被拒", "sign-in refused"),
    "password_changed": _text("修改密码", "password changed"),
    "password_reset": _text("重置密码", "password reset"),
    "second_factor_enrolled": _text("绑定第二因素", "second factor enrolled"),
    "second_factor_reset": _text("重置第二因素", "second factor reset"),
    "console_refused": _text("管理台拒绝", "refused in the console"),
    "source_test_asked": _text("发起连接测试", "connection test started"),
    "source_tested": _text("连接测试完成", "connection test done"),
    "source_probed": _text("探测数源", "source probed"),
    "source_stopped": _text("停用数源", "source stopped"),
    "source_opened": _text("恢复数源", "source opened again"),
}
_GROUPED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("核验过程", "The path of a verification"): (
        "admitted", "refused", "party_added", "asked", "answered", "stopped", "waiting", "reused", "pending", "decided",
        "exemption_lost", "promise_checked", "promise_left", "delivered", "delivery_failed", "closed", "collected",
    ),
    ("核查工单", "Work orders"): (
        "ordered", "order_viewed", "order_evidence_viewed", "order_answered", "order_overdue", "order_stopped",
        "order_reminded",
    ),
    ("持证人授权", "Consents"): (
        "consent_requested", "consent_shown", "consent_granted", "consent_refused", "consent_revoked",
        "consent_expired",
    ),
    ("数据异议", "Objections"): (
        "objection_raised", "record_marked", "objection_refused", "objection_verified", "record_unmarked",
        "record_corrected", "decision_reopened", "objection_closed", "objection_viewed", "objection_overdue",
    ),
    ("查阅与审计", "Reading and auditing"): (
        "viewed", "explained", "person_sought", "entries_read", "exported", "table_exported", "annotated",
        "accesses_shown", "embargo_requested", "embargo_approved", "embargo_lifted", "log_check_asked",
        "log_check_cancelled", "log_checked",
    ),
    ("异常标记", "Flags"): ("flagged", "operator_stopped", "operator_released", "flag_cleared", "flag_confirmed"),
    ("场景应用授权", "Grants"): (
        "applied", "application_approved", "application_trimmed", "application_refused", "application_reminded",
        "grant_registered", "grant_in_force", "grant_suspended", "grant_revoked",
    ),
    ("共享清单", "Sharing list"): (
        "drafted", "draft_edited", "draft_remarked", "draft_rebased", "submitted", "draft_withdrawn", "reviewed",
        "approved", "rejected", "draft_reworked", "draft_discarded", "preview_asked", "preview_cancelled", "published",
        "edition_withdrawn",
    ),
    ("账号与登录", "Accounts and signing in"): (
        "signed_in", "signed_out", "sign_in_refused", "proved_again", "sessions_ended", "console_refused",
        "password_changed", "password_reset", "second_factor_enrolled", "second_factor_reset", "person_added",
        "person_described", "person_assigned", "person_active", "person_disabled", "person_unlocked",
    ),
    ("系统与密钥", "Systems and keys"): (
        "client_registered", "key_registered", "key_revoked", "own_key_registered", "own_key_prepared",
        "own_key_rotated", "own_key_limited", "own_key_revoked", "source_key_registered", "source_key_changed",
        "source_key_removed",
    ),
    ("数源与运行", "Sources and operation"): (
        "source_stopped", "source_opened", "source_test_asked", "source_tested", "source_probed", "managed",
        "managed_answered", "answers_shredded", "shredded", "figures_frozen", "alive",
    ),
}  # fmt: skip
_ELSEWHERE = KINDS.keys() - {kind for kinds in _GROUPED.values() for kind in kinds}
KIND_GROUPS: Sequence[tuple[Text, Mapping[str, Text]]] = [
    (_text(*words), {kind: KINDS[kind] for kind in kinds})
    for words, kinds in {**_GROUPED, ("其他", "Others"): tuple(sorted(_ELSEWHERE))}.items()
    if kinds
]


class OutcomeGroup(StrEnum):
    """Under what an outcome is found; the first four are the heads of reasons."""

    HELD = "held"
    NOT_HELD = "not_held"
    UNKNOWN = "unknown"
    PENDING = "pending"
    DECIDED = "decided"
    PROBLEM = "problem"
    OTHER = "other"


OUTCOME_GROUPS: Mapping[OutcomeGroup, Text] = {
    OutcomeGroup.HELD: _text("属实", "held"),
    OutcomeGroup.NOT_HELD: _text("不属实", "not held"),
    OutcomeGroup.UNKNOWN: _text("不能确定", "unknown"),
    OutcomeGroup.PENDING: _text("等待", "awaited"),
    OutcomeGroup.DECIDED: _text("未能共享时的决定", "what was decided without a source"),
    OutcomeGroup.PROBLEM: _text("拒绝与问题", "refusals and problems"),
    OutcomeGroup.OTHER: _text("其他结果与代码", "other outcomes and codes"),
}
FACTS: Mapping[str, Text] = {
    "verification": _text("核验", "verification"),
    "client": _text("系统", "system"),
    "operator": _text("经办人", "operator"),
    "login": _text("账号", "login"),
    "by": _text("办理人", "done by"),
    "unit": _text("单位", "body"),
    "case": _text("办件", "case"),
    "item": _text("事项", "item"),
    "scene": _text("场景", "scene"),
    "region": _text("地区", "region"),
    "source": _text("数源", "source"),
    "form": _text("方式", "form"),
    "fields": _text("字段", "fields"),
    "basis": _text("依据", "basis"),
    "basis_reference": _text("依据文号", "legal reference"),
    "grant": _text("授权", "grant"),
    "subject": _text("对象（假名或页面）", "subject (pseudonym or page)"),
    "edition": _text("清单版本", "edition"),
    "outcome": _text("结果", "outcome"),
    "reason": _text("原因", "reason"),
    "code": _text("代码", "code"),
    "comment": _text("说明", "comment"),
    "why": _text("事由", "why"),
    "filter": _text("筛选条件", "filter"),
    "materials": _text("材料", "materials"),
    "receipt": _text("凭证摘要", "receipt's digest"),
    "request": _text("请求摘要", "request's digest"),
    "answer": _text("答复摘要", "answer's digest"),
    "channel": _text("渠道", "channel"),
    "key": _text("密钥", "key"),
    "lookup": _text("查询", "lookup"),
    "lookups": _text("各项查询", "lookups"),
    "attempt": _text("第几次", "attempt"),
    "position": _text("条目序号", "place of the entry"),
    "digest": _text("摘要", "digest"),
    "roles": _text("角色", "roles"),
    "flag": _text("标记", "flag"),
    "rule": _text("规则", "rule"),
    "job": _text("任务", "job"),
    "table": _text("表格", "table"),
    "rows": _text("行数", "rows"),
    "format": _text("文件格式", "file format"),
    "kind": _text("条目类型", "kind of entry"),
    "material": _text("材料", "material"),
    "since": _text("起始日期", "from day"),
    "until": _text("截止日期", "to day"),
    "page": _text("页面", "page"),
    "purpose": _text("用途", "purpose"),
    "related": _text("其他当事人（假名）", "others (pseudonyms)"),
    "id_type": _text("证件类型", "type of the number"),
}
RULES: Mapping[RuleName, Text] = {
    RuleName.SEQUENCE: _text("号码连续", "numbers in sequence"),
    RuleName.MANY_HOLDERS: _text("同类办件持证人过多", "many holders under like case numbers"),
    RuleName.CONSTANT_REASON: _text("理由千篇一律", "one reason for everything"),
    RuleName.PLACEHOLDER: _text("占位经办人", "a placeholder as operator"),
    RuleName.NO_DECISION: _text("查而不办", "asked about and never decided"),
    RuleName.AFTER_HOURS: _text("非工作时间", "outside working hours"),
    RuleName.UNRELATED_ITEM: _text("无关事项", "an unrelated item in one case"),
    RuleName.ADDED_PARTIES: _text("后加当事人", "many parties added later"),
    RuleName.PROBING: _text("屡次试探", "refused again and again"),
    RuleName.NEW_OPERATORS: _text("新经办人集中出现", "many new operators at once"),
}
EXPLAINED: Mapping[RuleName, Text] = {
    RuleName.SEQUENCE: _text(
        "同一经办人依次查询了首尾相接或相邻的证件号码，像是按名单或号段逐个查询。正常受理的号码之间没有这种顺序。",
        "One operator asked about numbers that follow one another, as a loop over a list does. People who come to a "
        "window do not come in the order of their numbers.",
    ),
    RuleName.MANY_HOLDERS: _text(
        "一小时内查询的人数超过一个窗口能受理的人数（办件编号为同一格式），或超过各渠道合计的常量。",
        "More persons were asked about within an hour than one window can serve, under case numbers of one pattern, or "
        "than all channels together have to.",
    ),
    RuleName.CONSTANT_REASON: _text(
        "同一依据被用于许多不同事项，或同一份授权被用于多个人。",
        "One law was the reason for many different items, or one consent for several persons.",
    ),
    RuleName.PLACEHOLDER: _text(
        "经办人名称不是具体的人，出了问题无法找到是谁查询的。",
        "The operator's name is nobody's: if something is wrong, nobody can say who asked.",
    ),
    RuleName.NO_DECISION: _text(
        "该经办人的许多办件只有查询、没有办理结果，可能并无真实办件。",
        "Many of this operator's cases were only asked about and never decided; they may not be cases at all.",
    ),
    RuleName.AFTER_HOURS: _text(
        "非工作时间查询：窗口渠道少量即标记，其他渠道数量大时才标记。加班也会如此。",
        "Verifications outside working hours: a few at a window, or many on any channel. Overtime looks the same.",
    ),
    RuleName.UNRELATED_ITEM: _text(
        "同一办件查询了与首个事项不属同一场景的事项。",
        "One case asked about a second item that belongs to no scene of the first.",
    ),
    RuleName.ADDED_PARTIES: _text(
        "办件受理后又陆续增加了多名当事人，可能借办件查询无关人员。",
        "A case came to be about ever more people after it was opened.",
    ),
    RuleName.PROBING: _text(
        "一日内许多请求被拒，且涉及多人，像是在试探哪些能查到。系统配置错误也会如此。",
        "Many requests about many persons were refused within a day, as when somebody tries what they can get. A "
        "system that is set up wrongly looks the same.",
    ),
    RuleName.NEW_OPERATORS: _text(
        "同一单位一日内出现许多从未用过的经办人编号，可能在轮换编号以避开每人的限额。新系统上线首日也会如此。",
        "One body used many staff numbers for the first time within a day, perhaps so that no one's cap is met. The "
        "first day of a new system looks the same.",
    ),
}

"""Every reason that can stand in a receipt, once: what it says and the next step, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass

from broker.core.problems import PROBLEMS


@dataclass(frozen=True, slots=True)
class ReasonText:
    """A reason in plain words for the clerk and the applicant, and what to do now ("" when nothing is)."""

    zh: str
    en: str
    next_zh: str = ""
    next_en: str = ""


_PAPER = ("请申请人提交材料", "Ask the applicant for the material")
_OBJECT = (
    "核对填写内容；数据有误时由申请人提出数据异议",
    "Check what was typed; if the data is wrong, the applicant may object",
)

_TEXTS: dict[str, ReasonText] = {
    "held.valid": ReasonText("权威数据核验一致，免予提交", "Verified by authoritative data; need not be submitted"),
    "not_held.revoked": ReasonText("证照已被吊销或注销", "The licence is revoked", "告知申请人证照已失效，须向发证机关重新办理", "Tell the applicant; a new licence is needed from the issuer"),
    "not_held.cancelled": ReasonText("登记已注销", "The registration is cancelled", *_OBJECT),
    "not_held.expired": ReasonText("证照已过有效期", "The licence has expired", "请申请人先办理延续或换证", "The applicant must renew it first"),
    "not_held.restricted": ReasonText("证照被限制使用", "The licence's use is restricted", "请向发证机关了解限制原因", "Ask the issuer about the restriction"),
    "not_held.not-yet-active": ReasonText("证照尚未生效", "The licence is not active yet", "请在生效后再办理", "Apply again once it is active"),
    "not_held.frozen": ReasonText("证照被冻结，暂时失效", "The licence is frozen", "请向发证机关了解原因", "Ask the issuer"),
    "not_held.mismatch": ReasonText("与权威数据不一致", "Authoritative data says otherwise", *_OBJECT),
    "not_held.deceased": ReasonText("人口数据显示该人已死亡", "The population register shows the person as deceased", *_OBJECT),
    "not_held.denied": ReasonText("数源部门核查结果为不符", "The source department says that it is not so", *_OBJECT),
    "unknown.not-found": ReasonText("数源中未查到", "The source does not know it", *_PAPER),
    "unknown.ambiguous": ReasonText("数源返回多条记录，无法确定", "The source knows several, none for certain", *_PAPER),
    "unknown.no-earlier-evidence": ReasonText("没有可复用的有效核验结果", "Nothing that was verified earlier can be used again", *_PAPER),
    "unknown.insufficient": ReasonText("请求未提供查询所需的当事人信息", "The request names too little for this lookup", "请补充当事人信息后重新发起，或提交材料", "Name the party and ask again, or submit the material"),
    "unknown.source-down": ReasonText("数源系统不可用", "The source is down", "可稍后重新发起核验；急办时由申请人提交材料", "Ask again later; in a hurry, submit the material"),
    "unknown.source-stopped": ReasonText("数源已由大数据中心人工停用", "The source was stopped by hand", "恢复后可重新发起核验；急办时由申请人提交材料", "Ask again once it is open; in a hurry, submit the material"),
    "unknown.late": ReasonText("数源未在规定时间内答复", "The source did not answer in time", "可稍后重新发起核验；急办时由申请人提交材料", "Ask again later; in a hurry, submit the material"),
    "unknown.malformed": ReasonText("数源答复不符合规范", "The source's answer breaks its contract", "已记录，由运维联系数源；本次由申请人提交材料", "Recorded for the operator; submit the material this time"),
    "unknown.effect-unknown": ReasonText("请求已发出但没有答复，不知是否已生效，未重复发送", "It was sent and not answered; whether it took effect is not known, and it was not repeated", "先向数源核实；需持证人出示用证码的，请其重新出示后再发起", "Ask the source first; where the holder showed a code, have a new one shown and ask again"),
    "unknown.untrusted": ReasonText("数源答复未通过可信校验", "The source's answer cannot be trusted", "已记录，由运维联系数源；本次由申请人提交材料", "Recorded for the operator; submit the material this time"),
    "unknown.wrong-person": ReasonText("数源答复的不是所查当事人", "The source answered about someone else", "已记录，由运维联系数源；本次由申请人提交材料", "Recorded for the operator; submit the material this time"),
    "unknown.name-differs": ReasonText("证件号码一致，但姓名（名称）的写法不同", "The number agrees, but the name is written otherwise", "请核对姓名用字（异体字、生僻字、间隔号）后重新发起；仍不一致时由申请人提交材料", "Compare how the name is written and ask again; if it still differs, submit the material"),
    "unknown.stale": ReasonText("数源数据已超过时效", "The source's data is too old", *_PAPER),
    "unknown.not-permitted": ReasonText("数源未授权本系统查询该数据", "The source does not permit us this lookup", "由运维向数源申请权限；本次由申请人提交材料", "The operator must apply at the source; submit the material this time"),
    "unknown.authentication": ReasonText("数源未认可本平台的账户", "The source refuses our credentials", "由运维检查账户；本次由申请人提交材料", "The operator must check the account; submit the material this time"),
    "unknown.catalogue-drift": ReasonText("数源目录已变化", "The source's catalogue has changed", "由清单管理员更新清单；本次由申请人提交材料", "The list's editor must update the row; submit the material this time"),
    "unknown.question-refused": ReasonText("数源不接受所发参数", "The source refuses our parameters", "由运维检查连接器配置；本次由申请人提交材料", "The operator must check the source's settings; submit the material this time"),
    "unknown.source-configuration": ReasonText("数源自身配置有误", "The source's own set-up is broken", "由运维联系数源；本次由申请人提交材料", "The operator must tell the source; submit the material this time"),
    "unknown.throttled": ReasonText("数源限流", "The source throttles us", "可稍后重新发起核验；急办时由申请人提交材料", "Ask again later; in a hurry, submit the material"),
    "unknown.proposed": ReasonText("清单该行尚待数源部门确认", "This row of the list awaits its owner's confirmation", *_PAPER),
    "unknown.not-configured": ReasonText("本部署未接入该数源", "This deployment has no connection to the source", *_PAPER),
    "unknown.cannot-say": ReasonText("数源部门无法核实", "The source department cannot say", *_PAPER),
    "unknown.consent-refused": ReasonText("持证人未同意授权", "The holder does not consent", *_PAPER),
    "unknown.consent-revoked": ReasonText("持证人已撤回授权", "The holder has withdrawn the consent", *_PAPER),
    "unknown.consent-expired": ReasonText("持证人未在期限内授权，或授权已过期", "The holder did not consent in time, or the consent is over", *_PAPER),
    "unknown.objected": ReasonText("该数据有异议，正在核实", "Somebody objects to this data, and it is being verified", "本次由申请人提交材料；核实后可重新发起核验", "Submit the material this time; ask again once it is verified"),
    "unknown.overdue": ReasonText("数源部门逾期未答复", "The source department did not answer in time", *_PAPER),
    "pending.consent": ReasonText("等待持证人授权", "Waiting for the holder's consent", "请持证人在期限内授权；逾期将转入下一步", "The holder must consent in time, or the next step follows"),
    "pending.source": ReasonText("等待数源恢复后核查承诺", "The commitment is checked once the source is back", "无需操作；核查不实将另行通知", "Nothing to do; a false commitment will be reported"),
    "pending.department_check": ReasonText("部门间核查进行中", "A person in the source department is checking", "无需提交；逾期未答复将转入下一步", "Nothing to submit now; if no answer comes in time, the next step follows"),
    "submit.last-step": ReasonText("无法通过数据共享取得", "It could not be obtained by sharing", *_PAPER),
    "submit.no-source": ReasonText("该材料目前没有数据来源", "No source exists for this material yet", *_PAPER),
    "fallback.scene_result": ReasonText("由本次联办的前序事项产生，无需提交", "An earlier item of this scene issues it", "前序事项办结后由系统自动取得", "Obtained once the earlier item is done"),
    "fallback.department_check": ReasonText("由部门间核查代替提交", "Checked between departments instead", "请发起部门间核查", "Start the check with the named department"),
    "commitment.accepted": ReasonText("申请人已签署告知承诺，事后核查", "The applicant has signed the commitment; it is checked later", "请将承诺书归档；核查不实时将通知贵系统", "File the commitment; you are told if it proves false"),
    "commitment.other-text": ReasonText("所签承诺书不是现行版本", "The signed commitment is not of the current text", "请申请人签署现行版本的告知承诺书", "Have the applicant sign the current text"),
    "fallback.commitment": ReasonText("可以告知承诺代替提交", "A commitment may replace it", "请申请人签署告知承诺书", "Have the applicant sign the commitment"),
}  # fmt: skip


def reason_text(reason: str) -> ReasonText:
    """The words for a reason; a grant's rule stands as a reason too, where the rest of the request went ahead."""
    known = _TEXTS.get(reason)
    if known is not None:
        return known
    kind = PROBLEMS[reason]
    return ReasonText(kind.zh, kind.en, kind.next_zh, kind.next_en)


REASONS = dict(_TEXTS)

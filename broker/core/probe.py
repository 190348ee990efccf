"""What a probing question shows of a source, step by step: each step's words, and which one an answer failed.

A probe is one real question about a *synthetic* subject that was agreed with the source's owner. The road's steps are
tried by whoever sends it; those after the answer are read off the answer's reason. What writes to a person is never
probed: the question would be real to whoever reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from broker.core.answer import Answer, Matter, Outcome, Question, Reason
from broker.core.case import Operator, Party
from broker.core.catalog import Form, Source
from broker.core.errors import Fault
from broker.core.reasons import reason_text


class Probing(StrEnum):
    """Whether a source may be probed."""

    AGREED = "agreed"  # a subject is agreed with its owner
    NONE = "none"  # no probe agreed
    PEOPLE = "people"  # no: it writes to a person, who answers an order or gives consent
    UNCONNECTED = "unconnected"  # its platform is not connected here


@dataclass(frozen=True, slots=True)
class Advice:
    """Whose move it is where a step failed, and which, in both languages."""

    next_zh: str
    next_en: str
    fault: Fault = Fault.OPERATOR


@dataclass(frozen=True, slots=True)
class StepText(Advice):
    """A step in both languages, and what to do where it fails."""

    zh: str = ""
    en: str = ""


def _step(zh: str, en: str, next_zh: str, next_en: str, fault: Fault = Fault.OPERATOR) -> StepText:
    return StepText(next_zh, next_en, fault, zh, en)


STEPS: Final[Mapping[str, StepText]] = {
    "list": _step("清单中有该数源", "in the sharing list", "核对数源名称；新数源先写入清单", "check the name; a new source is written into the list first"),
    "connection": _step("平台已接入", "the platform is connected", "在 BROKER_PLATFORMS_FILE 中写明该平台的地址与凭据", "give its platform's endpoint and credentials in BROKER_PLATFORMS_FILE"),
    "probe": _step("已配置探测对象", "a probe is configured", "与数源约定一个虚构对象，写入平台配置 options.probes", "agree a synthetic subject with its owner and write it under options.probes of the platform"),
    "dns": _step("域名解析", "DNS", "核对地址中的主机名与本机的域名服务器", "check the endpoint's host name and this machine's resolver"),
    "tcp": _step("网络连接", "TCP", "请网络管理员开通到该端口的策略", "ask the network's keeper to open the way to this port"),
    "tls": _step("TLS 证书", "TLS", "核对证书的颁发机构、有效期与主机名；自建机构用 BROKER_CA_FILE", "check authority, dates and name of the certificate; an authority of the network's own goes into BROKER_CA_FILE"),
    "answer": _step("有应答", "it answers", "联系数源平台；核对路径", "ask the platform's operator; check the paths", Fault.SOURCE),
    "auth": _step("身份与权限", "authentication and permission", "核对账户、密钥与已申请的服务", "check account, secret and the services applied for"),
    "signature": _step("签名与解密", "signature and decryption", "与数源核对密钥；核对双方时钟", "compare keys with the source, and both clocks"),
    "question": _step("参数被接受", "the parameters are accepted", "对照接口文档核对服务编码与 options.request", "compare service and options.request with the interface's description"),
    "schema": _step("应答符合模式", "the answer fits its schema", "修改 schemas/sources 中的应答模式，或告知数源", "mend the answer schema in schemas/sources, or tell the source", Fault.SOURCE),
    "codes": _step("代码均有对应", "every code is mapped", "在清单 options 的 ok、codes、verdicts、values 中补上该代码", "add the code to ok, codes, verdicts or values in the list's options"),
    "person": _step("答复的是所查对象", "it speaks of whom we asked", "核对 options.holder；属实则告知数源", "check options.holder; if it is so, tell the source", Fault.SOURCE),
    "fresh": _step("数据在时效内", "its data are fresh", "核对 options.as_of 与 freshness_days", "check options.as_of and freshness_days", Fault.SOURCE),
    "expected": _step("结果与约定一致", "the result is the agreed one", "与数源核对探测对象", "compare the probe's subject with the source"),
    "time": _step("在时限内", "within its budget", "调高 budget_ms 或请数源提速", "raise budget_ms, or ask the source to be quicker", Fault.SOURCE),
}  # fmt: skip
"""In the order in which they are tried."""

_BY_CAUSE: Final[Mapping[tuple[str, str], Advice]] = {
    ("tcp", "refused"): Advice("主机可达但端口无人监听：请平台运维核对服务是否运行，并核对端口", "the machine is there and nobody listens: ask the platform's operator whether the service runs, and compare the port", Fault.SOURCE),
    ("tls", "expired"): Advice("请平台更换已过期的证书", "have the platform renew its certificate", Fault.SOURCE),
    ("tls", "name"): Advice("地址中的主机名须与证书上的一致", "write the endpoint with the name that stands in the certificate"),
    ("tls", "issuer"): Advice("把签发证书的机构写入 BROKER_CA_FILE，并重启", "add the authority that issued the certificate to BROKER_CA_FILE, and restart"),
    ("tls", "handshake"): Advice("对方在此端口不以 TLS 应答：与平台核对端口和协议", "nothing speaks TLS at this port: compare port and protocol with the platform", Fault.SOURCE),
}  # fmt: skip


def advice(step: str, cause: str = "") -> Advice:
    """What to do where a step has failed, and whose move it is; ``cause`` is what the road knows of why."""
    return _BY_CAUSE.get((step, cause), STEPS[step])


ANSWERED: Final = tuple(STEPS)[tuple(STEPS).index("answer") :]  # what an answer shows

_BY_PEOPLE: Final = "work_order"  # the family whose questions people answer

_FAILED_BY: Final[Mapping[Reason, str]] = {
    Reason.SOURCE_DOWN: "answer",
    Reason.THROTTLED: "answer",
    Reason.LATE: "answer",
    Reason.EFFECT_UNKNOWN: "answer",
    Reason.AUTHENTICATION: "auth",
    Reason.NOT_PERMITTED: "auth",
    Reason.UNTRUSTED: "signature",
    Reason.SOURCE_REFUSED_QUESTION: "question",
    Reason.CATALOGUE_DRIFT: "question",
    Reason.SOURCE_CONFIGURATION: "question",
    Reason.NOT_CONFIGURED: "question",
    Reason.INSUFFICIENT: "question",
    Reason.WRONG_PERSON: "person",
    Reason.STALE: "fresh",
}


def failed_step(answer: Answer, expected: str | None, *, fits: bool | None) -> str | None:
    """The step at which an answer failed, None where it is what was agreed.

    ``expected`` is the agreed reason (none: any that is no fault); ``fits`` says what the schema said, None where the
    answer did not get that far.
    """
    if answer.reason is Reason.MALFORMED:
        if fits is False:
            return "schema"
        return "codes" if fits or answer.source_code else "answer"
    step = _FAILED_BY.get(answer.reason)
    if step is not None and answer.reason.value != expected:
        return step
    return "expected" if expected is not None and answer.reason.value != expected else None


def told(answer: Answer) -> tuple[str, str]:
    """The answer's reason with the source's code, in both languages; never what it says about anybody."""
    words = reason_text(answer.reason.value)
    code = f" [{answer.source_code}]" if answer.source_code else ""
    facts = f", {len(answer.fields)}" if answer.outcome is Outcome.HELD else ""
    return f"{words.zh}{code}", f"{answer.reason.value}{code}{facts and f'{facts} fields'}"


def agreed(source: Source, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The probe agreed with a source's owner, by the connection's options or the source's; empty where none is."""
    found: Mapping[str, Any] = options.get("probes", {}).get(source.key) or source.options.get("probe") or {}
    return found


def probing(source: Source, options: Mapping[str, Any] | None) -> Probing:
    """Whether a source may be probed unasked; ``options`` are its connection's, None where it has none."""
    if options is None:
        return Probing.UNCONNECTED
    if source.connector == _BY_PEOPLE or source.options.get("consent", options.get("consent", False)):
        return Probing.PEOPLE
    return Probing.AGREED if agreed(source, options) else Probing.NONE


def probe_question(source: Source, options: Mapping[str, Any], number: str) -> Question:
    """The probe as a question: nobody's case, about a subject that exists only by agreement.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` where the options do not name one.
    """
    subject = _party("applicant", options)
    related = _party("spouse", options["related"]) if "related" in options else None
    operator = Operator("probe", "探测", "", "")
    matter = Matter("broker source test", "probe", "probe", "连通性探测", "探测", str(options.get("region", "")),
                    "statutory_duty", subject, operator)  # fmt: skip
    form = Form(options.get("form", source.forms[0].value))
    return Question(number, source.key, form, subject, related, source.fields, matter)


def _party(role: str, entry: Mapping[str, Any]) -> Party:
    return Party(role, str(entry["id_type"]), str(entry["number"]), str(entry["name"]))

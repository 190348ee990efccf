"""Every problem code, once: its HTTP status, whose fault it is, what it says and the next step, in both languages.

``docs/problems.md`` is generated from this table and a test holds it current; a code that is raised but not listed
fails the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.core.errors import Fault


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What a code means to those who meet it."""

    code: str
    status: int
    fault: Fault
    zh: str
    en: str
    next_zh: str
    next_en: str


_C, _O, _B, _S = Fault.CALLER, Fault.OPERATOR, Fault.BROKER, Fault.SOURCE

_ROWS: tuple[tuple[str, int, Fault, str, str, str, str], ...] = (
    # the bytes
    ("body.too-large", 413, _C, "请求正文过大", "The body is too large", "请拆分请求", "Split the request"),
    ("body.not-json", 400, _C, "请求正文不是合法的 JSON", "The body is not JSON", "请检查 JSON 语法与 UTF-8 编码", "Mend the JSON syntax and send UTF-8"),
    ("body.duplicate-key", 400, _C, "JSON 中有重复的键", "A key occurs twice in the JSON", "请删除重复的键", "Remove the duplicate key"),
    ("body.not-finite", 400, _C, "JSON 中有 NaN 或无穷大", "The JSON holds NaN or an infinity", "请改为有限数值", "Send finite numbers"),
    ("body.media-type", 415, _C, "请求须为 application/json", "The body must be application/json", "请设置 Content-Type", "Set the Content-Type"),
    ("request.schema", 422, _C, "请求不符合接口规范", "The request does not follow the schema", "请按 pointer 所指位置对照接口文档修改", "Mend what the pointer names, following the API document"),
    ("request.parameter", 422, _C, "查询参数缺失或格式错误", "A query parameter is missing or malformed", "请对照接口文档修改", "Compare with the API document"),
    ("request.unreadable", 400, _C, "请求无法读取", "The request cannot be read", "请检查 HTTP 请求是否完整", "Check that the HTTP request is whole"),
    # the signature
    ("signature.missing", 401, _C, "请求未签名", "The request is not signed", "请按 RFC 9421 对请求签名", "Sign the request following RFC 9421"),
    ("signature.malformed", 401, _C, "签名头格式错误", "The signature headers are malformed", "请对照接口文档的签名格式", "Compare with the profile in the API document"),
    ("signature.components", 401, _C, "签名未覆盖要求的内容", "The signature does not cover what it must", "请签名全部要求的组成部分", "Cover all required components"),
    ("signature.unknown-key", 401, _C, "签名密钥未登记或已失效", "The signing key is not registered or no longer valid", "请向大数据中心登记或更换密钥", "Register or rotate the key with the big-data centre"),
    ("signature.algorithm", 401, _C, "签名算法与登记的密钥不符", "The algorithm is not the registered key's", "算法由登记的密钥决定，请勿另行指定", "The registered key decides the algorithm"),
    ("signature.digest", 401, _C, "正文与 Content-Digest 不符", "The body does not match its Content-Digest", "请对发送的字节计算 SHA-256 摘要", "Digest the very bytes that are sent"),
    ("signature.stale", 401, _C, "签名时间过早", "The signature is too old", "请校准时钟（允许±30秒）后重新签名", "Set the clock (± 30 s are accepted) and sign anew"),
    ("signature.future", 401, _C, "签名时间在将来", "The signature is from the future", "请校准时钟（允许±30秒）后重新签名", "Set the clock (± 30 s are accepted) and sign anew"),
    ("signature.nonce", 401, _C, "随机数缺失或格式错误", "The nonce is missing or malformed", "每次请求使用新的16至64位随机数", "Use a fresh nonce of 16 to 64 characters for each request"),
    ("signature.replayed", 401, _C, "该请求已被接收过（重放）", "This signed request was received before", "重试时请重新签名，请求编号不变", "To retry, sign anew with the same request id"),
    ("signature.invalid", 401, _C, "签名验证失败", "The signature does not verify", "请检查私钥与签名内容", "Check the private key and what is signed"),
    ("caller.suspended", 403, _C, "该系统已被停用", "This system is suspended", "请联系大数据中心", "Ask the big-data centre"),
    ("caller.role", 403, _C, "该系统未登记此项权限", "This system is not registered for that", "请向大数据中心申请相应角色", "Ask the big-data centre for the role"),
    # the request
    ("request.scope", 422, _C, "须且只须指定一个事项或一个场景", "Name either one item or one scene", "请填写 item 或 scene 之一", "Send either item or scene"),
    ("request.identifier", 422, _C, "证件号码或统一社会信用代码校验不通过", "An identifier's check digit is wrong", "请核对号码后重新提交", "Compare the number with the document and send again"),
    ("request.unit", 403, _C, "该系统未登记代该单位办理", "The system is not registered for the operator's body", "请填写本单位的统一社会信用代码，或请大数据中心为该系统登记该单位", "Name a body that the system is registered for, or ask the big-data centre to register it"),
    ("request.role-twice", 422, _C, "同一角色出现两次", "One role is held by two parties", "每个角色只填一人", "Name one party per role"),
    ("request.region", 422, _C, "未知的行政区划", "The region is unknown", "请使用清单中的行政区划代码", "Use a region code of the sharing list"),
    ("request.item", 422, _C, "清单中没有该事项，或本地区不办理", "The item is not on this region's list", "请查询本地区的事项清单", "Look the item up in the region's list"),
    ("request.scene", 422, _C, "清单中没有该场景", "The scene is not on this region's list", "请查询本地区的场景清单", "Look the scene up in the region's list"),
    ("request.role", 422, _C, "该事项没有此当事人角色", "No material of these items knows this role", "请按办事指南填写角色", "Use the roles of the item guide"),
    ("request.material", 422, _C, "该事项不需要此材料", "These items do not require this material", "请按办事指南选择材料", "Choose from the item guide's materials"),
    ("request.item-not-in-force", 409, _C, "该事项现已不再办理", "The item is not in force", "请告知申请人该事项已取消，无需办理", "Tell the applicant that the item is abolished"),
    ("request.level", 409, _C, "该事项由上级或其他层级机关办理", "The item is decided at another level", "请引导申请人到有权机关办理", "Send the applicant to the body that decides"),
    ("request.conflict", 409, _C, "同一请求编号已用于不同内容", "This request id was used with another body", "新的请求请使用新的编号", "Use a new request id for a new request"),
    ("request.forgotten", 409, _C, "该请求编号用过，其内容已删除，无法比对是否相同", "This request id was used, and what was sent with it has been deleted: nobody can say whether it is the same", "按 got 所示编号读取该次核验；新的请求请使用新的编号", "Read the verification that got names, or use a new request id for a new request"),
    ("case.applicant-differs", 409, _C, "该办件的申请人与本次请求不一致", "The case belongs to another applicant", "请核对办件编号与申请人", "Check the case number and the applicant"),
    ("case.parties", 409, _C, "该办件涉及的当事人过多", "The case has named too many parties", "一个办件只查询与其有关的人；确有需要请分办件办理", "Ask only about those whom the case concerns; open another case for others"),
    ("case.shredded", 409, _C, "该办件的数据已按要求删除", "The case's data was deleted on request", "如仍需办理，请使用新的办件编号", "To go on, open a new case"),
    ("case.undecided", 409, _C, "该办件尚有核验未完成，暂不能删除", "A verification of the case is not decided yet", "请待核验完成后再删除", "Delete it once everything is decided"),
    ("case.closed", 409, _C, "该办件已办结", "The case is closed", "已办结的办件不再查询数据", "Nothing is asked for a closed case"),
    ("case.unknown", 404, _C, "没有该办件", "There is no such case", "请核对办件编号", "Check the case number"),
    # collected on paper
    ("collected.reason", 422, _C, "该材料可由数据共享取得，收取纸质或要求核验原件须说明原因", "Data covers this material, so taking paper or asking for the original needs a reason", "请填写 reason 后重新报告；能用数据的请不要求申请人提交", "Send a reason with the report; where data serves, do not ask the applicant"),
    ("collected.twice", 422, _C, "同一材料报告了两次", "A material is reported twice", "每份材料只报告一次", "Report each material once"),
    # the grant
    ("grant.none", 403, _C, "没有授权覆盖本次查询", "No grant covers the lookups", "请由使用部门向数源部门申请场景应用授权", "Apply to the source department for a grant"),
    ("grant.expired", 403, _C, "授权已过期", "The grant has expired", "请申请续期", "Apply for renewal"),
    ("grant.not-yet", 403, _C, "授权尚未生效", "The grant is not in force yet", "请在生效日期后再试", "Try after the day it takes effect"),
    ("grant.revoked", 403, _C, "授权已被撤销", "The grant was revoked", "请联系数源部门", "Ask the source department"),
    ("grant.suspended", 403, _C, "授权已被暂停", "The grant is suspended", "请联系数源部门", "Ask the source department"),
    ("grant.exhausted", 403, _C, "授权的当日调用次数已用完", "The grant's calls for today are used up", "请次日再试或申请提高限额", "Try tomorrow or apply for a higher cap"),
    ("grant.holders-exhausted", 403, _C, "经办人当日可查询的持证人数已达授权上限", "The operator has asked about as many persons today as the grant allows", "请次日再试或申请提高限额", "Try tomorrow or apply for a higher cap"),
    ("grant.withheld", 403, _C, "该内容在不予共享清单中", "The negative list keeps this back", "请申请人提交材料", "Ask the applicant for the material"),
    ("grant.fields", 403, _C, "授权未包含所需字段", "The grant lacks fields that are needed", "请申请补充字段", "Apply for the missing fields"),
    ("grant.form", 403, _C, "授权未包含该查询方式", "The grant lacks this form of lookup", "请申请相应的查询方式", "Apply for this form"),
    ("grant.basis", 403, _C, "授权不适用于本次的依据", "The grant does not extend to this basis", "请核对依据（法定职责、持证人授权、委托）", "Check the basis (duty, consent, delegation)"),
    # how a grant comes about
    ("application.unknown", 404, _C, "没有该授权申请", "There is no such application", "请核对编号；只能查看与本系统有关的申请", "Check the id; a system sees the applications that concern it"),
    ("application.state", 409, _C, "该申请已经办理", "The application is decided already", "如需变更请重新申请，或暂停、撤销授权", "Apply anew, or suspend or revoke the grant"),
    ("application.scope", 422, _C, "申请的范围与共享清单不符", "What is applied for does not fit the sharing list", "请按清单填写数源、字段、方式、事项与期限", "Name source, fields, forms, items and validity as the list has them"),
    ("application.withheld", 403, _C, "该内容在不予共享清单中", "The negative list keeps this back", "请删除该内容；认为应当共享的，可通过争议处理机制提出", "Leave it out; disputes go to the data authority"),
    ("application.widened", 422, _C, "批准的范围不得大于申请的范围", "More is given than was asked for", "只能核减；需要更多请重新申请", "An application can only be trimmed; for more, apply anew"),
    ("application.renewal", 409, _C, "不能续期该授权", "That grant cannot be renewed", "请续期本系统对同一数源、未被暂停或撤销的授权，且期限须晚于原授权，或重新申请", "Renew a grant of this system for this source that is neither suspended nor revoked, for longer than it lasts, or apply anew"),
    ("application.reason", 422, _C, "须说明理由", "A reason is required", "请填写理由", "Give the reason"),
    ("application.self-approval", 403, _C, "申请与审批须由不同部门的不同人员办理", "Applicant and approver must be different people of different departments", "请由数源部门的其他人员审批", "Have another person of the source department decide"),
    ("application.owner", 403, _C, "该部门不是此数源的数源部门", "This department does not answer for the source", "请由清单所列数源部门办理；清单未列的由大数据中心办理", "The department that the list names decides; where it names none, the big-data centre"),
    ("application.grant", 404, _C, "没有该授权", "There is no such grant", "请核对授权编号", "Check the grant's id"),
    ("application.grant-state", 409, _C, "授权当前状态不能进行此操作", "The grant's state does not allow this", "生效的可暂停或撤销，暂停的可恢复或撤销，撤销的须重新申请", "In force: suspend or revoke; suspended: restore or revoke; revoked: apply anew"),
    # the holder's consent
    ("consent.unknown", 404, _C, "没有该授权请求", "There is no such consent", "请核对编号与持证人", "Check the id and the holder"),
    ("consent.state", 409, _C, "当前状态不能作此决定", "The consent's state does not allow this", "请求中的可同意或拒绝，已同意的可撤回", "One that is asked for can be granted or refused, one that is granted can be revoked"),
    ("consent.refused", 409, _C, "持证人已拒绝授权", "The holder has refused", "请由申请人提交材料，或重新请求授权", "Ask for the material, or for consent anew"),
    ("consent.revoked", 409, _C, "持证人已撤回授权", "The holder has withdrawn the consent", "请由申请人提交材料，或重新请求授权", "Ask for the material, or for consent anew"),
    ("consent.at-source", 409, _C, "该授权由数源直接向持证人征求", "The source itself asks the holder", "请持证人在数源的应用中同意或拒绝", "The holder decides in the source's own application"),
    ("consent.expired", 409, _C, "授权请求已过期", "The consent has expired", "请重新请求授权，或由申请人提交材料", "Ask for consent anew, or for the material"),
    # objections
    ("objection.unknown", 404, _C, "没有该数据异议", "There is no such objection", "请核对编号；只能查看本部门、本单位的异议", "Check the id; one sees only what concerns one's own department or body"),
    ("objection.nothing", 422, _C, "该材料没有来自该数源的答复，无从提出异议", "No answer of this source stands behind this material", "请在核验页面选择有答复的材料与数源", "Choose a material and a source that has answered for it"),
    ("objection.open", 409, _C, "该数据已有未办结的异议", "An objection to this record is open already", "请等待其办结，进展见该核验页面", "Wait until it is closed; the verification's page shows how it goes"),
    ("objection.words", 422, _C, "须写明理由，且不超过规定字数", "Say why, and not at too great a length", "请补充理由", "Say why"),
    ("objection.state", 409, _C, "异议当前状态不能进行此操作", "The objection's state does not allow this", "请刷新页面，按所示的下一步办理", "Reload the page and follow the next step it shows"),
    ("objection.same-person", 403, _C, "须由另一人办理：提出人不得办理，核实人不得解除标记", "Another person must do this: not who raised it, and the mark is not lifted by who verified", "请由本部门另一位同事办理", "Let a colleague of the department do it"),
    ("objection.unit", 403, _C, "办理人不属于该系统登记的部门", "The person is of another body than this system", "请由数源部门的人员在本部门系统中办理", "Let a person of the department act through its own system"),
    # work orders
    ("order.unknown", 404, _C, "没有该核查工单", "There is no such work order", "请核对编号；只能查看本部门的工单", "Check the id; a department sees only its own orders"),
    ("order.unit", 403, _C, "答复人不属于该系统登记的部门", "The person is of another body than this system", "请由被核查部门的人员在本部门系统中答复", "Let a person of the department answer through its own system"),
    ("order.answered", 409, _C, "该工单已答复", "The work order is answered already", "已答复的不得更改；有误请联系大数据中心", "An answer is never changed; if it is wrong, tell the big-data centre"),
    ("order.overdue", 409, _C, "该工单已逾期", "The work order is overdue", "办件已转入下一步，无需再答复", "The case has moved on; no answer is needed any more"),
    ("order.stopped", 409, _C, "该工单已停止（办件办结或授权停止）", "The work order has stopped: its case is closed, or its grant is no longer in force", "无需答复", "No answer is needed"),
    ("console.reply", 422, _C, "未选择答复", "No answer was chosen", "请选择 属实、不符 或 无法核实", "Choose: it is so, it is not so, or we cannot say"),
    ("console.attachment", 422, _C, "核查依据的文件类型不支持，或超过 1 MB", "The evidence is of another kind of file, or larger than 1 MB", "请附 PDF、OFD 或图片，必要时压缩", "Attach a PDF, an OFD or a picture, smaller if need be"),
    ("order.evidence", 422, _C, "核查依据的内容与文件类型不符、不是有效的 Base64，或超过 1 MB", "The evidence is not what its type says, is no Base64, or is larger than 1 MB", "请附真正的 PDF、OFD 或图片，必要时压缩", "Attach a real PDF, OFD or picture, smaller if need be"),
    # misuse
    ("misuse.stopped", 403, _C, "该经办人的查询因异常行为被停止，待审计核查", "This operator was stopped for conspicuous conduct until an auditor has looked at it", "请联系大数据中心或审计部门说明情况", "Explain the matter to the big-data centre or to the auditors"),
    ("misuse.unknown", 404, _C, "没有该异常标记", "There is no such flag", "请核对编号", "Check the id"),
    ("misuse.cleared", 409, _C, "该异常标记已核查", "The flag is cleared already", "无需再次办理", "Nothing is left to do"),
    # reading
    ("refusal.unknown", 404, _C, "没有该编号的被拒绝请求", "No request of this id was refused", "请核对请求编号；拒绝在数秒后入日志方可查询；只能查看本系统的请求", "Check the request id; a refusal is found once the log has it, within seconds; a system sees only its own"),
    ("verification.unknown", 404, _C, "没有该核验记录", "There is no such verification", "请核对编号；只能查看本系统提交的核验", "Check the id; a system sees only its own verifications"),
    ("verification.undecided", 409, _C, "核验尚未完成", "The verification is not decided yet", "请稍候，或使用 Prefer: wait", "Wait a moment, or use Prefer: wait"),
    ("log.not-yet", 404, _C, "日志尚未收录到该位置", "The log has not reached this yet", "请几秒后再试", "Try again in a few seconds"),
    ("route.unknown", 404, _C, "没有该接口", "There is no such resource", "请对照接口文档", "See the API document"),
    ("route.method", 405, _C, "该接口不支持此方法", "The resource does not take this method", "请对照接口文档", "See the API document"),
    # proofs
    ("envelope.malformed", 422, _C, "签名文件格式错误", "The signed document is malformed", "请使用原始文件", "Use the original file"),
    ("envelope.unknown-key", 422, _C, "签名文件的密钥未公布", "The document's key is not published", "请获取最新的公钥集", "Fetch the current key set"),
    ("envelope.algorithm", 422, _C, "签名文件的算法与密钥不符", "The document's algorithm is not its key's", "请视为伪造", "Treat it as forged"),
    ("envelope.type", 422, _C, "签名文件类型不符", "The document is of another type", "请使用正确的文件", "Use the right file"),
    ("envelope.signature", 422, _C, "签名文件被改动或系伪造", "The document was altered or forged", "请视为伪造", "Treat it as forged"),
    ("edition.digest", 422, _C, "清单文件不是该签名所指的版本", "The list is not the one this seal is about", "请使用发布时的原始字节及其签名", "Use the bytes as published, and their own seal"),
    ("edition.key-time", 422, _C, "清单的签名不在签名密钥的有效期内", "The list was sealed outside the time of its key", "请取得最新公钥集和重新发布的清单", "Fetch the key set again, and the list as it was published anew"),
    ("receipt.unknown", 404, _C, "没有该核验凭证", "There is no such receipt", "请核对二维码是否来自完整的核验单，或上传凭证文件核验", "Check that the code comes from a whole sheet, or hand in the receipt's file"),
    ("receipt.none", 422, _C, "没有收到凭证文件或文本", "Neither a file nor a text was handed in", "请选择凭证文件，或粘贴其全文", "Choose the receipt's file, or paste its text"),
    ("receipt.entry", 422, _C, "日志条目与核验凭证不符", "The log entry is not this receipt's", "请重新获取凭证及其证明", "Fetch the receipt and its proof again"),
    ("receipt.key-revoked", 422, _C, "签发密钥已吊销，且不能证明凭证早于吊销", "The signing key was revoked, and nothing shows that the receipt is older", "请附日志收录证明后重新验证；仍不成立则视为无效并报告大数据中心", "Verify it with its log proof; if that fails too, treat it as void and tell the centre"),
    ("receipt.key-time", 422, _C, "凭证不在签发密钥的有效期内签发", "The receipt was made outside the time of its key", "请取得最新公钥集后重新验证；仍不成立则视为无效并报告大数据中心", "Verify it with the key set as it is now; if that fails too, treat it as void and tell the centre"),
    ("key.in-use", 409, _O, "该密钥仍在签名，不能吊销", "The key still signs and cannot be revoked", "请先执行 broker keys prepare 和 broker keys rotate", "First run broker keys prepare and broker keys rotate"),
    ("receipt.inclusion", 422, _C, "日志收录证明不成立", "The inclusion proof does not hold", "请视为未收录并报告大数据中心", "Treat it as not included and tell the centre"),
    ("log.checkpoint-malformed", 422, _C, "日志检查点格式错误", "The checkpoint is malformed", "请重新获取", "Fetch it again"),
    ("log.checkpoint-unsigned", 422, _C, "日志检查点没有所需签名", "The checkpoint lacks a required signature", "请报告大数据中心", "Tell the big-data centre"),
    ("log.checkpoint-signature", 422, _C, "日志检查点签名无效", "A checkpoint signature is invalid", "请报告大数据中心", "Tell the big-data centre"),
    ("log.origin", 422, _C, "检查点属于另一日志", "The checkpoint is another log's", "请核对日志名称", "Check the log's name"),
    ("log.proof-malformed", 422, _C, "日志证明格式错误", "The log proof is malformed", "请重新获取", "Fetch it again"),
    ("log.bundle-malformed", 422, _C, "日志条目包格式错误", "The entry bundle is malformed", "请重新获取", "Fetch it again"),
    ("log.verifier-key", 422, _C, "日志验证公钥格式错误", "The log's verifier key is malformed", "请核对公钥", "Check the key"),
    ("log.tile", 500, _B, "日志分片损坏", "A stored log tile is damaged", "请立即停止写入并报告大数据中心", "Stop writing and tell the big-data centre at once"),
    ("log.damaged", 500, _B, "日志与最近签署的检查点不符", "The stored log is not the one we last signed", "请立即停止写入并报告大数据中心", "Stop writing and tell the big-data centre at once"),
    ("log.entry-too-long", 500, _B, "审计条目过长", "An audit entry is too long", "请联系运维", "Tell the operator"),
    ("log.tile-path", 404, _C, "日志分片路径不规范", "The tile path is not canonical", "请对照 C2SP tlog-tiles", "See C2SP tlog-tiles"),
    ("export.malformed", 422, _C, "导出文件格式错误或不完整", "The export is malformed or cut", "请使用导出时的原始文件", "Use the file as it was exported"),
    ("export.entry", 422, _C, "导出条目与日志检查点不符", "An exported entry does not belong to the checkpoint", "请视为被改动并报告大数据中心", "Treat it as altered and tell the centre"),
    ("export.too-long", 422, _C, "符合条件的条目过多", "Too many entries match", "请缩小时间范围或筛选条件，或使用 broker log export", "Narrow the period or the filter, or use broker log export"),
    # the console
    ("access.refused", 401, _C, "用户名、密码或验证码不正确，或账号暂时锁定", "Login, password or code is wrong, or the account is closed for a while", "请核对后再试；连续失败后需等待，忘记密码请联系中心操作员", "Check them and try again; after repeated failures wait, and ask the operator for a new password"),
    ("access.too-many", 429, _C, "登录尝试过于频繁", "Too many attempts to sign in", "请一分钟后再试", "Try again in a minute"),
    ("access.over", 401, _C, "登录已过期", "You are no longer signed in", "请重新登录", "Sign in again"),
    ("access.provider", 401, _C, "统一身份认证未成功", "The identity provider did not vouch for you", "请重新登录；仍失败请联系中心操作员", "Sign in again; then tell the operator"),
    ("access.provider-away", 503, _B, "统一身份认证暂时不可用", "The identity provider is away", "请稍后再试；仍失败请联系运维核对 BROKER_OIDC_ISSUER", "Try again later; then have the operator check BROKER_OIDC_ISSUER"),
    ("access.weak", 403, _C, "统一身份认证的验证强度不够，或不是刚刚验证的", "The identity provider has not looked as well, or as lately, as is asked here", "请在统一身份认证中使用要求的验证方式（如动态码）重新登录", "Sign in there again by the ways that are asked for, such as a one-time code"),
    ("access.no-role", 403, _C, "统一身份认证已确认您的身份，但您所在的用户组在本系统都没有角色", "The identity provider vouches for you, but none of the groups it names for you has a role here", "请联系中心操作员：在统一身份认证中加入相应用户组，或由其在本系统分配角色", "Ask the operator to put you into a group there, or to give you a role here"),
    ("access.claims", 403, _O, "统一身份认证返回的用户信息与约定不符", "The identity provider does not say who you are as was agreed", "请联系运维对照 BROKER_OIDC_GROUPS_FILE 核对统一身份认证的属性配置", "Have the operator compare the provider's claims with BROKER_OIDC_GROUPS_FILE"),
    ("access.taken", 403, _O, "统一身份认证中的用户名在本系统已属于另一账号", "The login that the identity provider names belongs to another account here", "请联系中心操作员：broker user add --subject 以另一用户名开通", "Ask the operator for an account under another login: broker user add --subject"),
    ("access.unknown", 403, _C, "该身份尚未开通本系统账号", "This identity has no account here", "请联系中心操作员：broker user add --subject", "Ask the operator for an account: broker user add --subject"),
    ("console.form", 403, _C, "表单已失效，或不是从本站提交", "The form is no longer valid, or was sent from elsewhere", "请返回上一页刷新后重新提交", "Go back, reload the page and send the form again"),
    ("console.role", 403, _C, "您的角色不能进行此操作", "Your role does not allow this", "请联系中心操作员分配角色", "Ask the operator for the role"),
    ("console.scope", 403, _C, "不在您负责的阶段或部门范围内", "This lies outside the stage or department you are responsible for", "请由负责该范围的编制人办理，或联系中心操作员", "Ask the editor responsible for it, or the operator"),
    ("draft.changed", 409, _C, "其他人刚刚修改过该草稿，您的修改未保存", "Somebody else has changed this draft meanwhile; your change was not saved", "请查看最新内容后重新修改", "Look at it as it stands now and make your change again"),
    ("draft.row", 404, _C, "草稿中没有这一行，或该名称已被占用", "The draft has no such row, or the name is taken", "请核对名称", "Check the name"),
    ("draft.comment", 422, _C, "退回时须说明理由", "A draft is given back with a reason", "请写明需要修改什么", "Say what must be changed"),
    ("draft.remark", 422, _C, "意见须为1至2000字，且不得含证件号码、手机号码", "A remark has 1 to 2000 characters and no ID or telephone number", "请改写后重新提交", "Write it without them"),
    ("draft.author", 403, _C, "只有参与起草、修改或提交的人可以撤回、重新修改或作废草稿", "Only who drafted, changed or handed it in may take it back, rework or discard it", "请联系起草人，或由您以此草稿新建一份", "Ask its author, or carry it on as a draft of your own"),
    ("draft.newest", 409, _C, "草稿已经在最新版本之上", "The draft stands on the newest edition already", "无需合并，可直接继续", "Nothing is to be done; go on"),
    ("job.waiting", 409, _C, "您已发起同样的任务，尚未结束", "You have asked for the same already, and it is not finished", "请等待其结束，或取消后重新发起", "Wait for it, or cancel it and start again"),
    ("job.too-many", 429, _C, "您同时进行的任务过多", "You have too many jobs under way", "请等待其中一项结束，或取消不再需要的", "Wait for one of them, or cancel what you no longer need"),
    ("job.failed", 500, _B, "任务多次中断，已停止", "The job broke off several times and was stopped", "请重新发起；仍失败时将任务编号告知管理员", "Start it again; if it fails again, give its id to the operator"),
    ("job.unknown", 404, _C, "没有这项任务", "There is no such job", "请回到原页面重新发起", "Start it again from the page it belongs to"),
    ("annotation.text", 422, _C, "批注须为1至2000字，且不得含证件号码、手机号码", "An annotation has 1 to 2000 characters and no ID or telephone number", "请用日志中的假名或核验编号指代当事人", "Refer to persons by the log's pseudonym or the verification's id"),
    ("annotation.entry", 404, _C, "日志中没有这一条", "The log has no such entry", "请核对序号", "Check its place"),
    ("page.unknown", 404, _C, "没有这个页面", "There is no such page", "请检查网址，或从首页进入", "Check the address, or start from the home page"),
    ("person.password", 422, _C, "新密码不符合要求", "The new password cannot be used", "请设置12至128个字符，不含用户名和常见密码", "Choose 12 to 128 characters without your login or a well-known password"),
    ("person.login", 422, _O, "用户名格式不正确", "The login is malformed", "用户名为2至40个小写字母、数字、点、下划线或连字符，以字母开头", "Use 2 to 40 lower-case letters, digits, dots, underscores or hyphens, a letter first"),
    ("person.role", 422, _O, "没有这个角色或范围", "There is no such role or scope", "请写成 角色 或 角色:范围=值，例如 list-editor:stage=企业开办", "Write role or role:kind=value, for example list-editor:stage=企业开办"),
    ("person.limit", 422, _O, "该角色不能限定到这种范围", "This role cannot be limited to that", "请改用该角色支持的范围", "Limit it to what the role allows"),
    ("person.scope", 422, _O, "清单中没有该阶段或部门，或统一社会信用代码有误", "The list names no such stage or department, or the credit code is wrong", "请按现行清单中的名称填写阶段或部门，或核对信用代码", "Write stage or department as the list in force does, or check the credit code"),
    ("person.provided", 409, _O, "该账号的角色只由统一身份认证的用户组决定", "The identity provider's groups alone give this account its roles", "请在统一身份认证中调整其用户组", "Change the person's groups at the provider"),
    ("person.self", 403, _C, "不能更改自己的账号", "Nobody changes their own account", "请由另一名操作员办理", "Ask another operator"),
    ("person.separation", 409, _O, "审计人员不得兼任其他经办角色", "An auditor may not also act", "请分配给不同的人员", "Give the roles to different people"),
    ("receipt.unproved", 422, _C, "凭证未附日志收录证明", "The receipt comes without its log proof", "请索取含收录证明的凭证包", "Ask for the bundle: the receipt with its proof"),
    ("receipt.unwitnessed", 422, _C, "凭证所在检查点没有所列见证方的联署", "None of the named witnesses co-signed the receipt's checkpoint", "请稍后重新获取凭证包，仍无联署的请向大数据中心核实", "Fetch the bundle again later; if there still is none, ask the big-data centre"),
    ("cosignature.size", 404, _C, "没有该大小的检查点", "There is no checkpoint of this size", "请重新获取检查点", "Fetch the checkpoint again"),
    ("cosignature.name", 403, _C, "该见证方名称属于另一系统", "The witness's name belongs to another system", "请使用本方的见证方名称", "Use the name that is yours"),
    ("cosignature.invalid", 422, _C, "联署签名无效或密钥不是 Ed25519", "The witness's line is not of the key that signed the request, or not Ed25519", "请核对见证方名称与密钥", "Check the witness's name and key"),
    ("log.behind", 500, _O, "见证方见过的日志比本库更长：可能恢复了旧备份", "A witness has seen more of the log than is here: an older backup may have been restored", "请勿继续写入；与大数据中心核对后再启动，见 docs/operations.md", "Write nothing; settle with the centre what was lost, see docs/operations.md"),
    ("log.forked", 500, _O, "本库的日志与见证方见过的不是同一日志", "The log here is not the one that was witnessed", "请勿继续写入并报告大数据中心", "Write nothing and tell the big-data centre"),
    ("witness.unread", 500, _O, "见证方无法读取日志条目", "The witness cannot read the log", "请检查其密钥是否以 witness 角色登记", "Check that its key is registered with the role witness"),
    # the subject's view
    ("embargo.until", 422, _C, "暂不公开的截止时间无效", "The embargo's end is not within its limits", "请填写一年以内的将来时间", "Name a time to come, within a year"),
    ("embargo.unknown", 404, _C, "没有该暂不公开申请", "There is no such embargo", "请核对编号", "Check the id"),
    ("embargo.state", 409, _C, "该申请已批准或已到期", "The embargo is approved or over already", "请重新申请", "Request a new one"),
    ("embargo.over", 409, _C, "该申请已到期或已解除", "The embargo is over already", "无需解除", "Nothing is left to lift"),
    ("embargo.self-approval", 403, _C, "申请人及其系统不得批准自己的申请", "Whoever requested it, and the system that signed it, cannot approve it", "请由另一人经另一系统批准", "Have another person approve it, through another system"),
    # operator
    ("edition.none", 503, _O, "尚未发布共享清单", "No edition of the sharing list is in force", "请发布清单：broker catalog publish", "Publish one: broker catalog publish"),
    ("catalog.broken", 422, _O, "清单文件有错误，未予发布；原版本继续有效", "The catalogue file has errors and was not published; the edition in force stays", "请按检查结果修改", "Mend what the check names"),
    ("catalog.unreadable", 422, _O, "清单文件无法读取", "The catalogue file cannot be read", "请检查文件", "Check the file"),
    ("edition.unknown", 404, _C, "没有该版本或草稿", "There is no such edition or draft", "请核对编号", "Check the number"),
    ("edition.state", 409, _C, "草稿当前状态不能进行此操作", "The draft's state does not allow this", "请按 起草、提交、审核、发布 的顺序办理", "Follow the order: draft, submit, review, publish"),
    ("edition.self-approval", 403, _C, "起草人或提交人不得审核自己的草稿", "Whoever drafted or submitted it cannot approve it", "请由另一人审核", "Have another person review it"),
    ("edition.effective", 422, _C, "生效时间不得早于当前时间", "An edition cannot take effect in the past", "请改为将来的时间，或不填以立即生效", "Name a time to come, or none for now"),
    ("edition.needs-review", 409, _O, "已有生效版本，新版本须经审核发布", "There is an edition already; the next one needs a review", "请使用 broker edition draft、submit、approve、publish", "Use broker edition draft, submit, approve, publish"),
    ("edition.in-force", 409, _C, "该版本已经生效，不能撤回或改期", "The edition is in force and can no longer be taken back or moved", "请以较早的版本新建草稿并发布", "Publish an earlier list again, from a draft of it"),
    ("edition.built-upon", 409, _C, "其后已发布更新的版本", "A newer edition was published on top of it", "请先撤回较新的版本", "Take the newer one back first"),
    ("edition.outdated", 409, _C, "起草之后已发布新的版本", "Another edition was published since it was drafted", "请将草稿合并到最新版本后重新审核", "Bring the draft onto the newest edition and have it reviewed again"),
    ("edition.differs", 409, _O, "清单文件与生效版本不一致", "The catalogue file is not the edition in force", "请发布该文件，或以 --accept-edition 启动", "Publish the file, or start with --accept-edition"),
    ("config.invalid", 500, _O, "配置有误", "The configuration is invalid", "请按提示修改配置", "Mend the named setting"),
    ("key.unusable", 500, _O, "密钥文件不可用", "A key file cannot be used", "请检查密钥文件及权限", "Check the key file and its permissions"),
    ("key.away", 503, _O, "签名密钥所在的密码设备不可用，或其中已不是该密钥", "The token that holds the signing key is away, or holds another key", "请检查密码设备后重试；口令曾被拒绝时须更正口令并重启", "Check the token and try again; where its PIN was refused, mend the PIN and restart"),
    ("key.expired", 503, _O, "签名密钥已过期、已停用或已吊销", "The signing key has expired, has retired or was revoked", "请执行 broker keys prepare 和 broker keys rotate，并重启各进程", "Run broker keys prepare and broker keys rotate, and start every process again"),
    ("register.exists", 409, _O, "已登记过", "It is registered already", "请使用另一名称，或先撤销", "Use another name, or revoke it first"),
    ("register.revoked", 409, _O, "已吊销的密钥不能登记", "A revoked key cannot be registered", "请登记新的密钥", "Register a new key"),
    ("register.unknown", 404, _O, "没有该登记", "It is not registered", "请核对名称", "Check the name"),
    ("source.ciphertext", 502, _S, "数源密文无法解密", "A source's ciphertext is not for our key", "请与数源核对公钥", "Compare public keys with the source"),
    # us
    ("store.away", 503, _B, "数据库暂时不可用", "The database is away", "请稍后用同一请求编号重试", "Repeat later with the same request id"),
    ("broker.overloaded", 503, _B, "系统繁忙", "The broker is overloaded", "请稍后用同一请求编号重试", "Repeat later with the same request id"),
    ("broker.unfit", 503, _O, "系统无法受理：签名或写入不可用", "The broker cannot admit: signing or writing does not work", "请按 got 所列部分检查密钥与数据库", "Check keys and database, as got names them"),
    ("broker.fault", 500, _B, "系统内部错误", "The broker failed", "请用同一请求编号重试；仍失败请联系运维并提供编号", "Repeat with the same request id; then tell the operator the instance id"),
)  # fmt: skip

PROBLEMS = {row[0]: ProblemKind(*row) for row in _ROWS}

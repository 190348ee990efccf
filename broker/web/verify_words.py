"""The words of the pages on which anybody verifies a receipt, in both languages."""

from __future__ import annotations

_ZH = {
    "title": "核验凭证验真",
    "site": "材料免提交 · 凭证验真",
    "intro": "核验凭证证明：哪些材料因权威数据核验一致而免予提交。凭证不含姓名、证件号码，以代号表示当事人。",
    "without_us": "不依赖本平台的验证方法",
    "steps": (
        "取得凭证文件（含日志收录证明）：扫描核验单上的二维码后下载，或从办件档案中取出。",
        "取得公钥：下载下方公钥集，最好保存事先另行取得的副本，并与中心公布的指纹核对。",
        (
            "离线运行：broker receipt verify 凭证文件 --keys 公钥集；也可用其他独立程序（JWS 与 C2SP tlog-proof），"
            "方法见文档 proof.md。"
        ),
        "三项都成立才算真：签名有效；日志条目中的摘要与凭证一致；条目收录于中心签名（并由见证方共签）的日志。",
    ),
    "key_set": "下载公钥集（JWK）",
    "here": "在此当场验证",
    "here_hint": "文件只在内存中验证，不保存。在此验证的结论以信任本平台为前提；要不依赖本平台，请用上面的方法。",
    "file": "凭证文件",
    "text": "或粘贴凭证全文",
    "verify": "验证",
    "holds": "凭证有效：签名成立",
    "logged": "已收录于审计日志第 {} 位（共 {} 条）",
    "not_logged": "未附日志收录证明，只验证了签名",
    "revoked": "签发密钥已于 {} 吊销；按日志所记，该凭证早于吊销",
    "fails": "验证未通过",
    "genuine": "该核验单对应的凭证真实存在",
    "compare": "请将下列内容与纸面逐项对照；纸面与此不同的，以此处为准。",
    "preliminary": "这是初步凭证：部分材料尚待答复。",
    "superseded": "最终凭证已出具，本初步凭证已被取代。",
    "reopened": "本决定所依据的数据此后已更正：以重新核验的凭证为准。",
    "case": "办件编号",
    "item": "事项",
    "decided": "决定时间",
    "issuer": "出具",
    "applicant": "申请人（代号）",
    "digest": "凭证摘要（SHA-256）",
    "material": "材料",
    "outcome": "结果",
    "reason": "依据",
    "bundle": "下载凭证与证明，用于离线验证",
    "not_yet": "尚未取得日志位置，数秒后重试即可下载。",
    "again": "验证另一份凭证",
    "back": "前往验真首页",
}
_EN = {
    "title": "Verify a receipt",
    "site": "Certificate-free service · verify a receipt",
    "intro": "A receipt proves which materials need not be submitted because authoritative data says so. It holds no "
    "names and no identity numbers; persons stand in it as pseudonyms.",
    "without_us": "How to verify without trusting this platform",
    "steps": (
        (
            "Get the receipt's file with its log proof: scan the code on the sheet and download it, or take it from "
            "the case archive."
        ),
        (
            "Get the public keys: the key set below, better a copy that you obtained earlier, compared with the "
            "fingerprints the centre has published."
        ),
        (
            "Offline, run: broker receipt verify FILE --keys KEYSET; or any independent program that knows JWS and "
            "C2SP tlog-proof, as the document proof.md describes."
        ),
        (
            "It is genuine if all three hold: the signature; the digest in the log's entry is the receipt's; the entry "
            "is included in the log that the centre signed and a witness co-signed."
        ),
    ),
    "key_set": "Download the key set (JWK)",
    "here": "Verify one here and now",
    "here_hint": "The file is verified in memory and kept nowhere. Whoever verifies here trusts this platform; the "
    "way above does not need to.",
    "file": "File of the receipt",
    "text": "Or paste its whole text",
    "verify": "Verify",
    "holds": "The receipt is valid: its signature holds",
    "logged": "Included in the audit log at place {} of {}",
    "not_logged": "No log proof was given; only the signature was verified",
    "revoked": "The signing key was revoked at {}; by the log, the receipt is older",
    "fails": "It could not be verified",
    "genuine": "The receipt behind this sheet exists and is genuine",
    "compare": "Compare each line with the paper. Where the paper differs, this page is right.",
    "preliminary": "This is a preliminary receipt: some answers are still to come.",
    "superseded": "The final receipt has been issued; this preliminary one is superseded.",
    "reopened": "Data on which this decision rests was corrected since: what counts is a new verification's receipt.",
    "case": "Case number",
    "item": "Item",
    "decided": "Decided",
    "issuer": "Issued by",
    "applicant": "Applicant (pseudonym)",
    "digest": "Digest of the receipt (SHA-256)",
    "material": "Material",
    "outcome": "Outcome",
    "reason": "Because",
    "bundle": "Download receipt and proof, to verify offline",
    "not_yet": "It has no place in the log yet; it can be downloaded in a few seconds.",
    "again": "Verify another receipt",
    "back": "To the verification page",
}
VERIFY_WORDS = {"zh": _ZH, "en": _EN}

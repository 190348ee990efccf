"""What an item library (事项库) exports: entries and their materials, read from rows and never guessed at.

Rows come in the field names of a real library's material table: one row per material, the item's columns repeated.
A row that is not understood is a finding with its number; reading the file is left outside.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from broker.core.catalog import Catalog
from broker.core.findings import ERROR, WARNING, Finding, Rule
from broker.core.identifiers import is_task_code

MAX_TEXT = 2_000  # by_law quotes whole articles; nothing of a library is longer
MAX_CODE = 64
MAX_NAME = 500

RULES: dict[str, Rule] = {
    "unreadable": Rule(ERROR, "文件无法读取：{why}", "The file cannot be read: {why}", "请另存为 CSV（UTF-8）、XLSX 或 JSON 后重试", "Save it as CSV (UTF-8), XLSX or JSON and try again"),
    "too-large": Rule(ERROR, "文件超出限制：{why}", "The file is beyond a limit: {why}", "请按部门拆分后分次导入", "Split it by department and import the parts"),
    "header": Rule(ERROR, "表头有误：{why}", "The head of the table is wrong: {why}", "第一行须为字段名，如 task_code、ywcode、item_name、material_name", "The first row must name the fields: task_code, ywcode, item_name, material_name …"),
    "empty": Rule(ERROR, "没有数据行", "There are no rows", "请检查导出的文件", "Look at the exported file"),
    "missing": Rule(ERROR, "缺少 {name}", "{name} is missing", "请补全后重新导出", "Complete it and export again"),
    "value": Rule(ERROR, "{name} 的值“{got}”无法识别", "{name} has a value that is not understood: “{got}”", "应为 {expected}", "It should be {expected}"),
    "contradiction": Rule(ERROR, "同一事项的 {name} 与第 {first} 行不一致", "The same item has another {name} in row {first}", "请在事项库中改正", "Correct it in the library"),
    "twice": Rule(ERROR, "同一事项的材料 {name} 在第 {first} 行已有", "The same item has the material {name} in row {first} already", "请删除重复的行", "Remove one of the two rows"),
    "region": Rule(ERROR, "清单没有地区 {got}", "The list has no region {got}", "请填写 region_code 列或使用 --region", "Fill in the column region_code, or use --region"),
    "code": Rule(WARNING, "实施编码 {code} 不符合通常的形式（31或33位，前18位为信用代码）", "The code {code} has not the usual form (31 or 33 characters behind a credit code)", "请与事项库核对；旧编码可照用", "Compare it with the library; older codes may stay"),
}  # fmt: skip

# What our fields are called in libraries, their national exchange and their spreadsheets (compared in lower case).
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "region_code": ("area_code", "行政区划代码"),
    "task_code": ("实施编码",),
    "ywcode": ("task_handle_item", "业务办理项编码"),
    "item_name": ("task_name", "事项名称", "业务办理项名称"),
    "cd_operation": ("操作",),
    "material_name": ("材料名称",),
    "material_code": ("材料编码",),
    "is_need": ("是否必需", "是否必须"),
    "by_law": ("设定依据", "法定依据"),
    "cert_code": ("dzzz_catalog_code", "证照类型代码"),
    "is_nocommit": ("是否免提交",),
    "nocommit_mode": ("免提交方式",),
    "is_data_gx": ("是否实现数据共享",),
    "data_lyoffice": ("数据来源部门", "来源部门"),
}
NEEDED = ("task_code", "item_name")
_YES, _NO = frozenset({"1", "true", "y", "yes", "是"}), frozenset({"0", "false", "n", "no", "否"})
_OPERATIONS = {
    "": False,
    "i": False,
    "u": False,
    "d": True,
}  # cd_operation of the national exchange: insert, update, delete


@dataclass(frozen=True, slots=True)
class Raw:
    """One row of a file: its number there, and its cells by our names of the columns."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Paper:
    """A material of a library's entry."""

    row: int
    name: str
    code: str | None
    needed: bool | None
    by_law: str | None
    exempt: bool | None  # is_nocommit or is_data_gx: the library takes it for exempt
    how: str  # nocommit_mode: in which way
    office: str  # data_lyoffice: from whom the data comes
    cert_code: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A library's entry: an item of one implementing body."""

    row: int
    region: str
    task_code: str
    handling_code: str | None
    name: str
    withdrawn: bool
    papers: tuple[Paper, ...]

    @property
    def id(self) -> str:
        """How the library tells it from all others."""
        return self.handling_code or self.task_code


def note(rule: str, row: int | None, **names: str) -> Finding:
    """A finding of these rules at a row of the file."""
    words = RULES[rule]
    zh, en, mend_zh, mend_en = (text.format(**names) for text in (words.zh, words.en, words.mend_zh, words.mend_en))
    return Finding(rule, words.severity, (), zh, en, mend_zh, mend_en, place="" if row is None else f"{row}")


def column(head: str) -> str | None:
    """Our name for a column, or None for one that we have no use for."""
    wanted = unicodedata.normalize("NFKC", head).strip().lower()
    for name, others in COLUMNS.items():
        if wanted == name or wanted in others:
            return name
    return None


def entries_from(rows: Iterable[Raw], region: str | None, catalog: Catalog) -> tuple[list[Entry], list[Finding]]:
    """The entries that the rows tell, in the file's order. ``region`` stands where a row names none."""
    reader = _Reader(region, catalog)
    for row in rows:
        reader.read(row)
    if not reader.entries and not reader.findings:
        reader.findings.append(note("empty", None))
    return list(reader.entries.values()), reader.findings


class _Reader:
    """Joins the rows of one entry, and keeps what is wrong with them."""

    def __init__(self, region: str | None, catalog: Catalog) -> None:
        self.region = region
        self.catalog = catalog
        self.entries: dict[str, Entry] = {}
        self.findings: list[Finding] = []

    def read(self, row: Raw) -> None:
        """Take one row in."""
        before = len(self.findings)
        entry, paper = self._entry(row), self._paper(row)
        if any(one.severity == ERROR for one in self.findings[before:]):
            return
        known = self.entries.get(entry.id)
        if known is None:
            if not is_task_code(entry.task_code):
                self.findings.append(note("code", row.number, code=entry.task_code))
            known = self.entries[entry.id] = entry
        self._agree(known, entry)
        if paper is not None:
            self._add(known, paper)

    def _entry(self, row: Raw) -> Entry:
        codes = {name: self._code(row, name) for name in ("task_code", "ywcode")}
        for name in NEEDED:
            if not row.cells.get(name):
                self.findings.append(note("missing", row.number, name=name))
        region = row.cells.get("region_code") or self.region or ""
        if region not in self.catalog.regions:
            self.findings.append(note("region", row.number, got=region or "–"))
        operation = row.cells.get("cd_operation", "").lower()
        if operation not in _OPERATIONS:
            self._unknown(row, "cd_operation", "I, U, D")
        return Entry(
            row=row.number,
            region=region,
            task_code=codes["task_code"] or "",
            handling_code=codes["ywcode"],
            name=self._text(row, "item_name", MAX_NAME) or "",
            withdrawn=_OPERATIONS.get(operation, False),
            papers=(),
        )

    def _paper(self, row: Raw) -> Paper | None:
        name = self._text(row, "material_name", MAX_NAME)
        if name is None:
            return None
        said = [self._flag(row, column) for column in ("is_nocommit", "is_data_gx")]
        return Paper(
            row=row.number,
            name=name,
            code=self._code(row, "material_code"),
            needed=self._flag(row, "is_need"),
            by_law=self._text(row, "by_law", MAX_TEXT),
            exempt=None if said == [None, None] else True in said,
            how=_tidied(row.cells.get("nocommit_mode", ""))[:MAX_CODE],
            office=_tidied(row.cells.get("data_lyoffice", ""))[:MAX_NAME],
            cert_code=_tidied(row.cells.get("cert_code", ""))[:MAX_CODE],
        )

    def _agree(self, known: Entry, entry: Entry) -> None:
        for name in ("task_code", "name", "region", "withdrawn"):
            if getattr(known, name) != getattr(entry, name):
                self.findings.append(note("contradiction", entry.row, name=name, first=str(known.row)))

    def _add(self, known: Entry, paper: Paper) -> None:
        for other in known.papers:
            if plain_name(other.name) == plain_name(paper.name):
                self.findings.append(note("twice", paper.row, name=paper.name, first=str(other.row)))
                return
        self.entries[known.id] = replace(self.entries[known.id], papers=(*known.papers, paper))

    def _text(self, row: Raw, name: str, limit: int) -> str | None:
        text = _tidied(row.cells.get(name, "")) or None
        if text is not None and len(text) > limit:
            self._unknown(row, name, f"at most {limit} characters")
        return text

    def _code(self, row: Raw, name: str) -> str | None:
        text = row.cells.get(name) or None
        good = text is None or (
            len(text) <= MAX_CODE and all(one.isascii() and (one.isalnum() or one in "_.-") for one in text)
        )
        if not good:
            self._unknown(row, name, f"at most {MAX_CODE} letters, digits, _ . -")
        return text

    def _flag(self, row: Raw, name: str) -> bool | None:
        text = row.cells.get(name, "").lower()
        if text and text not in _YES | _NO:
            self._unknown(row, name, "1, 0, 是, 否")
        return None if text not in _YES | _NO else text in _YES

    def _unknown(self, row: Raw, name: str, expected: str) -> None:
        self.findings.append(note("value", row.number, name=name, got=row.cells.get(name, "")[:40], expected=expected))


def _tidied(text: str) -> str:
    """A text in one line, without what cannot be seen: cells of spreadsheets are full of both."""
    return " ".join("".join(" " if unicodedata.category(one) in {"Cc", "Cf"} else one for one in text).split())


def plain_name(text: str) -> str:
    """A name as it is compared: width, case and blanks say nothing."""
    return "".join(unicodedata.normalize("NFKC", text).split()).lower()

"""The tables for the history of the list: what was said of drafts, what each edition changed, what was taken back."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table, Text

from broker.store.tables import Moment, metadata

draft_remark = Table(  # the entry that tells of it holds the text's digest
    "draft_remark",
    metadata,
    Column("id", Text, primary_key=True),
    Column("draft_id", Text, ForeignKey("draft.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("section", Text, nullable=False),  # of the row it is about; "" for the draft as a whole
    Column("row_key", Text, nullable=False),
    Column("by_login", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
)
Index("draft_remark_draft", draft_remark.c.draft_id, draft_remark.c.id)

edition_origin = Table(  # the draft of which an edition was made; one may become an edition again on another day
    "edition_origin",
    metadata,
    Column("edition", Integer, primary_key=True, autoincrement=False),
    Column("draft_id", Text, nullable=False),
)

edition_withdrawal = Table(  # editions that were taken back before they took effect
    "edition_withdrawal",
    metadata,
    Column("edition", Integer, primary_key=True, autoincrement=False),
    Column("by_login", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("withdrawn_at", Moment, nullable=False),
)

row_change = Table(  # which rows each edition changed, so that a row's history needs no list to be read
    "row_change",
    metadata,
    Column("section", Text, nullable=False),
    Column("row_key", Text, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("kind", Text, nullable=False),  # added | changed | removed
    PrimaryKeyConstraint("section", "row_key", "edition"),
)

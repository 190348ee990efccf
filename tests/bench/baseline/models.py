"""The baseline's tables, as ORM classes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, UniqueConstraint, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker


def _id() -> str:
    return uuid.uuid4().hex


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The metadata."""

    type_annotation_map = {dict[str, Any]: JSON, list[str]: JSON, datetime: DateTime(timezone=True)}  # noqa: RUF012


class Grant(Base):
    """What a client may ask of a source."""

    __tablename__ = "grants"

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(index=True)
    source: Mapped[str]
    item: Mapped[str]
    fields: Mapped[list[str]]
    valid_to: Mapped[datetime]


class Verification(Base):
    """One request and its decision."""

    __tablename__ = "verification"
    __table_args__ = (UniqueConstraint("client_id", "request_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=_id)
    client_id: Mapped[str]
    request_id: Mapped[str]
    case_number: Mapped[str] = mapped_column(index=True)
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    state: Mapped[str] = mapped_column(default="admitted")
    receipt: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    decided_at: Mapped[datetime | None]
    lookups: Mapped[list[Lookup]] = relationship(back_populates="verification")


class Lookup(Base):
    """One question to one source."""

    __tablename__ = "lookup"

    id: Mapped[str] = mapped_column(primary_key=True, default=_id)
    verification_id: Mapped[str] = mapped_column(ForeignKey("verification.id"), index=True)
    material: Mapped[str]
    source: Mapped[str]
    grant_id: Mapped[str] = mapped_column(ForeignKey("grants.id"))
    subject: Mapped[dict[str, Any]]
    related: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None]
    answer: Mapped[dict[str, Any] | None]
    answered_at: Mapped[datetime | None]
    verification: Mapped[Verification] = relationship(back_populates="lookups")


class AuditEntry(Base):
    """One line of the audit log."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    kind: Mapped[str]
    verification_id: Mapped[str] = mapped_column(index=True)
    detail: Mapped[dict[str, Any]]


def sessions(url: str, pool_size: int) -> sessionmaker[Session]:
    """A pooled session factory."""
    return sessionmaker(create_engine(url, pool_size=pool_size), expire_on_commit=False)

"""The tables for the console: people, sessions, objections, what was collected on paper, figures.

Of a person who works here the tables know login, name and body; second factors are encrypted, passwords are hashes,
network addresses are keyed pseudonyms.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from broker.store.tables import Moment, metadata

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("state", Text, nullable=False),  # active | disabled
    Column("password", Text, nullable=False),  # argon2id; empty where an identity provider vouches
    Column("must_change", Boolean, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("totp", LargeBinary, nullable=False),  # encrypted; empty until it is enrolled
    Column("totp_step", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("subject", Text, unique=True),  # the identity provider's, NULL for a local account
    Column("created_at", Moment, nullable=False),
)

person_role = Table(
    "person_role",
    metadata,
    Column("person_id", Text, ForeignKey("person.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("scope_kind", Text, nullable=False),
    Column("scope_value", Text, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("given_at", Moment, nullable=False),
    Column("origin", Text, nullable=False, server_default="here"),  # here | provider
    PrimaryKeyConstraint("person_id", "role", "scope_kind", "scope_value", "origin"),
)

session = Table(
    "session",
    metadata,
    Column("digest", Text, primary_key=True),  # of the cookie's value; whoever reads the table cannot use it
    Column("person_id", Text, ForeignKey("person.id"), nullable=False, index=True),
    Column("stage", Text, nullable=False),  # password | enrol | second | open
    Column("csrf", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

errand = Table(  # a browser on its way to the identity provider and back
    "errand",
    metadata,
    Column("digest", Text, primary_key=True),  # of its cookie's value
    Column("memory", Text, nullable=False),  # JSON: state, nonce, PKCE verifier
    Column("expires_at", Moment, nullable=False),
)

attempt = Table(  # how often somebody tried in one window of time
    "attempt",
    metadata,
    Column("key", Text, nullable=False),  # keyed pseudonym
    Column("window_at", Moment, nullable=False),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("key", "window_at"),
)

sign_in_origin = Table(  # whence attempts to sign in as a person come
    "sign_in_origin",
    metadata,
    Column("person_id", Text, ForeignKey("person.id"), nullable=False),
    Column("address", Text, nullable=False),  # keyed pseudonym
    Column("failures", Integer, nullable=False),
    Column("locked_until", Moment),
    Column("used_at", Moment),  # the last whole sign-in from there
    Column("seen_at", Moment, nullable=False),
    PrimaryKeyConstraint("person_id", "address"),
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting | running | done | failed | cancelled
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("asked", Text, nullable=False),  # JSON
    Column("result", Text),  # JSON
    Column("created_at", Moment, nullable=False),
    Column("ready_at", Moment, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("about", Text),  # what newest job of a kind is looked for by, or NULL
)
Index("job_about", job.c.kind, job.c.about, job.c.created_at)
Index("job_owner", job.c.owner, job.c.state)
Index("job_of_kind", job.c.kind, job.c.created_at)
Index("job_state", job.c.kind, job.c.state)

"""The tables for how grants come about: applications, their approval, caps by operator, flags of misuse."""

from __future__ import annotations

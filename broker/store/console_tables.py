"""The tables for the console: people, sessions, objections, what was collected on paper, figures."""

from __future__ import annotations

"""The tables for what a verification waits for: work orders, consents, promises to be checked later."""

from __future__ import annotations

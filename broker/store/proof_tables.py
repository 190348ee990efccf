"""The tables for what proves: witnessed checkpoints, exports, retention, the subject's view."""

from __future__ import annotations

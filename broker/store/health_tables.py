"""The tables for how the sources are: their health, their breakers, calls against limits, shared secrets."""

from __future__ import annotations

"""Keys: our own, the systems' and the sources' credentials – how long each may be used, and what ends soon."""

from __future__ import annotations

from flask import Response

from broker.core.own_key import KeyState
from broker.core.people import ConsoleRole
from broker.flow.key_ends import CLIENT, OWN, SOURCE, keys_ending
from broker.web.console.area import Area, Console, only
from broker.web.console.page import shown
from broker.web.console.words import mark

_LOOKERS = only(ConsoleRole.OPERATOR, ConsoleRole.AUDITOR)
STATES = {
    KeyState.COMING: mark("Published, signs nothing yet"),
    KeyState.ACTIVE: mark("Signs"),
    KeyState.RETIRING: mark("Signs until its end"),
    KeyState.RETIRED: mark("Signs no more"),
    KeyState.REVOKED: mark("Revoked"),
}
WHOSE = {OWN: mark("Our own key"), CLIENT: mark("A system's key"), SOURCE: mark("A source's credential")}


def keys_area(console: Console) -> Area:
    """The page of keys, which home and the accounts lead to; keys are changed at the machine that holds them."""
    area = Area("keys")
    area.get("/keys", _Keys(console).index, _LOOKERS)
    return area


class _Keys:
    def __init__(self, console: Console) -> None:
        self._parts = console.parts

    def index(self) -> Response:
        """What ends soon, then every key in use; a value is never shown."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            policy = self._parts.policy(work, pulse)
        own = [(one, one.state_at(pulse.now)) for one in policy.own_keys.values()]
        usable = [one for one in policy.keys.items() if one[1].usable(pulse.now)]
        return shown(
            "keys/index.html", ending=keys_ending(self._parts, policy, pulse.now), now=pulse.now, kind_names=WHOSE,
            own=[one for one in own if one[1] not in {KeyState.RETIRED, KeyState.REVOKED}], words=STATES,
            clients=sorted(usable, key=lambda one: (one[1].client, one[0])), names=policy.clients,
            references=self._parts.references, days=self._parts.limits.key_warning_days,
        )  # fmt: skip

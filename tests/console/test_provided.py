"""Roles by the identity provider's groups: given, taken, never more than agreed – over a real provider that may lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.core.people import ConsoleRole, assignment_from
from broker.core.provided import MOST_GROUPS, group_rules_from
from broker.flow import people
from broker.transport.oidc import OidcProvider
from tests.console.kit import PHONE, Browser, House, Visitor, house
from tests.console.provider import CLIENT_ID, SECRET, Provider, provider
from tests.console.test_accounts import told
from tests.console.test_oidc import back, sent

RULES: dict[str, Any] = {
    "groups": {
        "/centre/operators": "operator",
        "/lists/editors": ["list-editor", "reader"],
        "/audit": "auditor",
    },
    "scopes": ["profile", "groups"], "login": "preferred_username", "name": "name", "unit": "org",
}  # fmt: skip
OFFICER = {"preferred_username": "Wang.Wu", "name": "王五", "org": "市大数据中心"}


@pytest.fixture
def identities() -> Iterator[Provider]:
    with provider() as made:
        made.claims = dict(OFFICER)
        yield made


@pytest.fixture
def grouped(tmp_path: Path, keys_folder: Path, _small_template: Path, identities: Provider) -> Iterator[House]:
    """A console whose roles follow the provider's groups, and one officer who was given a role here besides."""
    client = OidcProvider(identities.url, CLIENT_ID, SECRET, "统一身份认证", scopes=("profile", "groups"))
    shutil.copyfile(_small_template, tmp_path / "broker.db")
    with house(tmp_path, keys_folder, None, provider=client) as made:
        identities.client.redirect_uri = f"{made.url}/console/sign-in/provider/back"
        made.parts.groups = group_rules_from(RULES)
        subject = f"{identities.url}#known"
        people.add_person(made.parts, "known", "某官员", "某局", [assignment_from("reader")], "root", subject)
        yield made


def come(house: House, made: Provider, *groups: str, **claims: Any) -> tuple[Visitor, int]:
    """Sign in with these groups."""
    made.claims = made.claims | {"groups": list(groups)} | claims
    visitor = house.http(None)
    return visitor, back(visitor, sent(visitor))


def roles(house: House, login: str) -> set[str]:
    with house.parts.store.read() as work:
        found = work.credentials(login)
        return set() if found is None else set(map(str, found.person.effective))


def test_a_group_gives_its_roles_and_opens_the_account(grouped: House, identities: Provider) -> None:
    visitor, status = come(grouped, identities, "/lists/editors", "/unknown/here")
    assert status == 303
    assert identities.scope.split() == ["openid", "profile", "groups"]
    assert roles(grouped, "wang.wu") == {"list-editor", "reader"}
    assert "王五" in visitor.get("/console").text
    assert visitor.get("/console/drafts").status_code == 200
    own = visitor.get("/console/account").text
    assert "由您本次登录时在统一身份认证中的用户组取得" in own
    assert "/console/account/password" not in own, "there is no password here to be changed"
    (opened,) = told(grouped, "person_added")[-1:]
    assert (opened["by"], opened["unit"], opened["roles"]) == ("provider", "市大数据中心", ["list-editor", "reader"])
    assert "王五" not in str(opened), "the log knows the login"


def test_who_loses_a_group_loses_its_roles_in_every_session_at_once(grouped: House, identities: Provider) -> None:
    before, _ = come(grouped, identities, "/lists/editors", "/centre/operators")
    assert before.get("/console/accounts").status_code == 200
    _, status = come(grouped, identities, "/lists/editors")
    assert status == 303
    assert before.get("/console/accounts").status_code == 403, "the session of before has shrunk"
    assert before.get("/console/drafts").status_code == 200
    assert told(grouped, "person_assigned")[-1]["roles"] == ["list-editor", "reader"]
    _, status = come(grouped, identities)
    assert status == 403
    assert before.get("/console").status_code == 303, "and with the last role, ended"
    assert roles(grouped, "wang.wu") == set()
    assert told(grouped, "sign_in_refused")[-1]["rule"] == "no-role"


def test_the_same_groups_again_change_nothing_and_write_no_entry(grouped: House, identities: Provider) -> None:
    come(grouped, identities, "/lists/editors")
    before = len(told(grouped, "person_assigned")), len(told(grouped, "person_described"))
    come(grouped, identities, "/lists/editors")
    assert (len(told(grouped, "person_assigned")), len(told(grouped, "person_described"))) == before


@pytest.mark.parametrize("groups", [[], ["/unknown/here", "operator", "/CENTRE/OPERATORS", "/centre/operators/x"]])
def test_groups_that_nobody_mapped_give_no_role_and_the_page_says_so(
    grouped: House, identities: Provider, groups: list[str]
) -> None:
    identities.claims |= {"groups": groups}
    visitor = grouped.http(None)
    parts = sent(visitor).partition("?")
    refused = visitor.get(f"/console/sign-in/provider/back?{parts[2]}")
    assert refused.status_code == 403
    assert "您所在的用户组在本系统都没有角色" in refused.text
    assert roles(grouped, "wang.wu") == set()
    assert not [one for one in told(grouped, "person_added") if one["login"] == "wang.wu"], "nobody is opened for it"


def test_a_missing_claim_names_no_group(grouped: House, identities: Provider) -> None:
    """As of a provider that leaves out what is empty: whoever is in no group any more loses what the groups gave."""
    before, _ = come(grouped, identities, "/lists/editors")
    del identities.claims["groups"]
    visitor = grouped.http(None)
    assert back(visitor, sent(visitor)) == 403
    assert (roles(grouped, "wang.wu"), before.get("/console").status_code) == (set(), 303)


WRONG: list[dict[str, Any]] = [
    {"groups": "/centre/operators"}, {"groups": {"/centre/operators": True}}, {"groups": [["/centre/operators"]]},
    {"groups": 7}, {"groups": ["/centre/operators", None]}, {"groups": ["g"] * (MOST_GROUPS + 1)},
    {"groups": None, "_claim_names": {"groups": "src1"}}, {"preferred_username": "王五"}, {"org": ["a", "b"]},
    {"name": "x" * 121}, {"name": "a\nb"},
]  # fmt: skip


def test_claims_of_another_kind_give_nothing_and_take_what_they_gave(grouped: House, identities: Provider) -> None:
    right = dict(identities.claims)
    for claims in WRONG:
        before, status = come(grouped, identities, "/centre/operators", **right)
        assert (status, before.get("/console/accounts").status_code) == (303, 200), "and back with the right ones"
        identities.claims = right | {"groups": ["/centre/operators"]} | claims
        visitor = grouped.http(None)
        assert back(visitor, sent(visitor)) == 403, claims
        assert told(grouped, "sign_in_refused")[-1]["rule"] == "claims"
        assert (roles(grouped, "wang.wu"), before.get("/console").status_code) == (set(), 303), claims
        identities.claims = dict(right)


def test_among_thousands_of_groups_the_known_ones_count(grouped: House, identities: Provider) -> None:
    many = [f"/bodies/{number}/某单位某科室" for number in range(5_000)]
    _, status = come(grouped, identities, *many, "/lists/editors")
    assert status == 303
    assert roles(grouped, "wang.wu") == {"list-editor", "reader"}


def test_a_role_given_here_stays_whatever_the_groups_say(grouped: House, identities: Provider) -> None:
    identities.subject = "known"
    visitor, status = come(grouped, identities, "/centre/operators")
    assert (status, roles(grouped, "known")) == (303, {"reader", "operator"})
    assert "王五" in visitor.get("/console/account").text, "name and body are the provider's by now"
    people.assign(grouped.parts, "known", [assignment_from("reader"), assignment_from("clerk")], "root")
    assert roles(grouped, "known") == {"reader", "clerk", "operator"}, "the command changes what was given here"
    visitor, status = come(grouped, identities)
    assert (status, roles(grouped, "known")) == (303, {"reader", "clerk"})
    assert told(grouped, "person_described")[-1]["login"] == "known"


def test_a_role_by_both_stays_until_both_have_taken_it(grouped: House, identities: Provider) -> None:
    identities.subject = "known"
    come(grouped, identities, "/lists/editors")
    people.assign(grouped.parts, "known", [], "root")
    assert roles(grouped, "known") == {"list-editor", "reader"}
    come(grouped, identities)
    assert roles(grouped, "known") == set()


def test_a_provider_that_is_the_master_takes_what_was_given_here_and_says_so(
    grouped: House, identities: Provider
) -> None:
    grouped.parts.groups = group_rules_from(RULES | {"master": True})
    identities.subject = "known"
    _, status = come(grouped, identities, "/centre/operators")
    assert (status, roles(grouped, "known")) == (303, {"operator"})
    assert told(grouped, "person_assigned")[-1] | {"at": ""} == {
        "version": 1, "kind": "person_assigned", "at": "", "login": "known", "roles": ["operator"], "by": "provider",
    }  # fmt: skip
    chief = grouped.http(grouped.account("operator", login="chief"))
    form = {"keep": "reader"}
    assert chief.post("/console/accounts/known/roles", form).status_code == 422
    assert roles(grouped, "known") == {"operator"}
    assert chief.post("/console/accounts/chief/roles", form).status_code == 422


def test_groups_make_nobody_an_auditor_who_acts(grouped: House, identities: Provider) -> None:
    before, _ = come(grouped, identities, "/audit")
    assert before.get("/console/audit").status_code == 200
    _, status = come(grouped, identities, "/audit", "/centre/operators")
    assert status == 409
    assert told(grouped, "sign_in_refused")[-1]["rule"] == "separation"
    assert (roles(grouped, "wang.wu"), before.get("/console").status_code) == (set(), 303)
    people.assign(grouped.parts, "known", [assignment_from("clerk")], "root")
    identities.subject = "known"
    _, status = come(grouped, identities, "/audit")
    assert (status, roles(grouped, "known")) == (409, {"clerk"}), "nor together with a role given here"


def test_nobody_takes_over_the_login_of_another_account(grouped: House, identities: Provider) -> None:
    """Neither a local account's, nor one of another subject, however the provider spells it."""
    grouped.account("operator", login="chief")
    for name in ("chief", "CHIEF", "known"):
        _, status = come(grouped, identities, "/lists/editors", preferred_username=name)
        assert status == 403
        assert told(grouped, "sign_in_refused")[-1]["rule"] == "taken"
    assert (roles(grouped, "chief"), roles(grouped, "known")) == ({"operator"}, {"reader"})


def test_without_a_claim_for_logins_no_account_is_opened(grouped: House, identities: Provider) -> None:
    grouped.parts.groups = group_rules_from(RULES | {"login": ""})
    _, status = come(grouped, identities, "/centre/operators")
    assert (status, roles(grouped, "wang.wu")) == (403, set())
    assert told(grouped, "sign_in_refused")[-1]["rule"] == "identity"


def test_a_disabled_account_is_not_opened_again_by_any_group(grouped: House, identities: Provider) -> None:
    come(grouped, identities, "/lists/editors")
    people.set_state(grouped.parts, "wang.wu", "disabled", "root")
    _, status = come(grouped, identities, "/centre/operators")
    assert (status, roles(grouped, "wang.wu")) == (403, {"list-editor", "reader"}), "nor changed"


def test_what_groups_give_lasts_as_long_as_was_agreed(grouped: House, identities: Provider) -> None:
    come(grouped, identities, "/lists/editors")
    with grouped.parts.store.read() as work:
        found = work.credentials("wang.wu")
        assert found is not None
        (session,) = work.sessions_of(found.person.id)
    assert session.expires_at - session.created_at == group_rules_from(RULES).lasts


def test_the_operator_sees_which_roles_the_provider_gives(
    grouped: House, identities: Provider, browser: Browser
) -> None:
    identities.subject = "known"
    come(grouped, identities, "/centre/operators")
    watched = Browser(browser.chromium, grouped, browser.contexts).page(grouped.role(ConsoleRole.OPERATOR), "en", PHONE)
    page = watched.go("/console/accounts/known")
    assert page.is_checked("input[name=keep][value=reader]")
    assert page.locator("input[name=keep]").count() == 1
    by_groups = page.locator("p:has-text('By the identity provider’s groups') .tag")
    assert by_groups.inner_text() == "Centre operator"
    watched.check()

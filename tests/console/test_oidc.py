"""Signing in by an identity provider: a real one on this machine, and every way in which it, or a browser, may lie."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import text

from broker.core.people import assignment_from
from broker.flow import people
from broker.transport.oidc import OidcProvider
from tests.console.kit import House, Visitor, house
from tests.console.provider import CLIENT_ID, SECRET, Provider, provider
from tests.console.test_access import age, rows
from tests.flow import catalogue


@pytest.fixture
def identities() -> Iterator[Provider]:
    with provider() as made:
        yield made


@pytest.fixture
def linked(tmp_path: Path, keys_folder: Path, identities: Provider) -> Iterator[House]:
    """A console that knows the provider, and one officer whom the provider vouches for."""
    client = OidcProvider(identities.url, CLIENT_ID, SECRET, "统一身份认证")
    with house(tmp_path, keys_folder, catalogue.document(), provider=client) as made:
        identities.client.redirect_uri = f"{made.url}/console/sign-in/provider/back"
        subject = f"{identities.url}#officer-7"
        people.add_person(made.parts, "officer", "某官员", "某局", [assignment_from("reader")], "operator", subject)
        yield made


def sent(visitor: Visitor) -> str:
    """Where the provider sends the browser back to, once it has been there."""
    away = visitor.get("/console/sign-in/provider").headers["Location"]
    asked = parse_qs(urlsplit(away).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    return requests.get(away, timeout=5, allow_redirects=False).headers["Location"]


def back(visitor: Visitor, url: str) -> int:
    parts = urlsplit(url)
    return int(visitor.get(f"{parts.path}?{parts.query}").status_code)


def test_an_officer_whom_the_provider_vouches_for_is_signed_in(linked: House) -> None:
    visitor = linked.http(None)
    assert "统一身份认证" in visitor.get("/console/sign-in").text
    assert back(visitor, sent(visitor)) == 303
    assert "某官员" in visitor.get("/console").text


def test_somebody_without_an_account_here_is_told_so(linked: House, identities: Provider) -> None:
    identities.subject = "stranger"
    visitor = linked.http(None)
    assert back(visitor, sent(visitor)) == 403
    assert visitor.get("/console").status_code == 303


def _issuer(made: Provider) -> None:
    made.issuer = "https://elsewhere.example"


def _audience(made: Provider) -> None:
    made.audience = "another-client"


def _nonce(made: Provider) -> None:
    made.nonce = "of another sign-in"


def _key(made: Provider) -> None:
    made.published = Provider().key


def _expired(made: Provider) -> None:
    made.claims = {"exp": int(time.time()) - 120}


def _early(made: Provider) -> None:
    made.claims = {"nbf": int(time.time()) + 600}


def _endless(made: Provider) -> None:
    made.claims = {"exp": None}


def _nobody(made: Provider) -> None:
    made.claims = {"sub": None}


def _presented_by_another(made: Provider) -> None:
    made.claims = {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}


LIES = [_issuer, _audience, _nonce, _key, _expired, _early, _endless, _nobody, _presented_by_another]


@pytest.mark.parametrize("lie", LIES)
def test_a_token_for_others_by_others_or_of_another_sign_in_is_refused(
    linked: House, identities: Provider, lie: Callable[[Provider], None]
) -> None:
    lie(identities)
    visitor = linked.http(None)
    assert back(visitor, sent(visitor)) == 401
    assert visitor.get("/console").status_code == 303


def test_a_browser_that_was_not_sent_cannot_come_back(linked: House) -> None:
    """Neither another browser with the same answer, nor the same browser twice, nor one with another state."""
    visitor = linked.http(None)
    url = sent(visitor)
    assert back(linked.http(None), url) == 401
    other = linked.http(None)
    sent(other)
    assert back(other, url) == 401, "another errand's state"
    assert back(visitor, url) == 303
    again = linked.http(None)
    assert back(again, url) == 401


def test_a_code_is_worth_nothing_without_the_verifier_of_this_errand(linked: House) -> None:
    """PKCE: the provider refuses the code of a browser whose errand remembers another verifier."""
    visitor = linked.http(None)
    url = sent(visitor)
    ((memory,),) = rows(linked, "SELECT memory FROM errand")
    other = json.dumps(json.loads(str(memory)) | {"verifier": "another-verifier-of-the-length-that-is-asked-for-here"})
    with linked.office.database.begin(write=True) as connection:
        connection.execute(text("UPDATE errand SET memory = :other"), {"other": other})
        connection.commit()
    assert back(visitor, url) == 401
    assert visitor.get("/console").status_code == 303


def test_a_disabled_officer_is_refused_whatever_the_provider_says(linked: House) -> None:
    people.set_state(linked.parts, "officer", "disabled", "operator")
    visitor = linked.http(None)
    assert back(visitor, sent(visitor)) == 403


@pytest.fixture
def strict(tmp_path: Path, keys_folder: Path, identities: Provider) -> Iterator[House]:
    """A console that asks for two factors by name."""
    client = OidcProvider(identities.url, CLIENT_ID, SECRET, "统一身份认证", acr=("two-factors",), amr=("otp", "hwk"))
    with house(tmp_path, keys_folder, catalogue.document(), provider=client) as made:
        identities.client.redirect_uri = f"{made.url}/console/sign-in/provider/back"
        subject = f"{identities.url}#officer-7"
        people.add_person(made.parts, "officer", "某官员", "某局", [assignment_from("operator")], "root", subject)
        yield made


def test_a_provider_that_looked_less_well_than_asked_lets_nobody_in(strict: House, identities: Provider) -> None:
    """What it does not say counts as not done."""
    for acr, amr in ((None, None), ("two-factors", None), ("password", ["otp"]), ("two-factors", ["pwd"])):
        identities.acr, identities.amr = acr, amr
        visitor = strict.http(None)
        assert back(visitor, sent(visitor)) == 403, (acr, amr)
        assert visitor.get("/console").status_code == 303
    identities.acr, identities.amr = "two-factors", ["pwd", "otp"]
    visitor = strict.http(None)
    asked = parse_qs(urlsplit(visitor.get("/console/sign-in/provider").headers["Location"]).query)
    assert asked["acr_values"] == ["two-factors"]
    assert back(visitor, sent(visitor)) == 303


def test_who_proves_again_by_a_provider_is_looked_at_anew(strict: House, identities: Provider) -> None:
    identities.acr, identities.amr = "two-factors", ["otp"]
    visitor = strict.http(None)
    assert back(visitor, sent(visitor)) == 303
    age(strict)
    assert visitor.get("/console/accounts/new").headers["Location"].startswith("/console/prove?next=")
    assert "/sign-in/provider" in visitor.get("/console/prove?next=/console/accounts/new").text
    asked = parse_qs(urlsplit(visitor.get("/console/sign-in/provider").headers["Location"]).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    identities.looked = 1_700_000_000
    assert back(visitor, sent(visitor)) == 403, "the provider has only remembered"
    assert visitor.get("/console/accounts/new").status_code == 303
    identities.looked = None
    assert back(visitor, sent(visitor)) == 303
    assert visitor.get("/console/accounts/new").status_code == 200
    assert rows(strict, "SELECT count(*) FROM session") == [(1,)], "the session before has ended"


def test_signing_out_leads_to_the_providers_sign_out(linked: House, identities: Provider) -> None:
    visitor = linked.http(None)
    assert back(visitor, sent(visitor)) == 303
    cookie = visitor.client.get_cookie("broker", domain="127.0.0.1")
    assert cookie is not None
    visitor.secret = cookie.value
    out = visitor.post("/console/sign-out").headers["Location"]
    assert "/console/sign-out/provider" in visitor.get(out).text
    away = urlsplit(visitor.get("/console/sign-out/provider").headers["Location"])
    assert f"{away.scheme}://{away.netloc}{away.path}" == f"{identities.url}/leave"
    assert parse_qs(away.query)["post_logout_redirect_uri"] == [f"{linked.url}/console/sign-in"]


def test_a_provider_whose_metadata_name_another_issuer_is_not_gone_to(linked: House, identities: Provider) -> None:
    identities.url = "https://elsewhere.example"
    assert linked.http(None).get("/console/sign-in/provider").status_code == 503

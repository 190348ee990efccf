"""People of the console: accounts, roles, lost passwords and lost telephones."""

from __future__ import annotations

import click

from broker.cli.shared import current_settings, office, told
from broker.core.errors import OperatorProblem
from broker.core.people import ConsoleRole, assignment_from, unknown
from broker.flow import people

_BY = click.option("--by", default="command-line", show_default=True, help="Who does it, as the audit log shall know.")
_ROLES = ", ".join(ConsoleRole)


@click.group("user")
def user_group() -> None:
    """People of the console: their accounts and roles."""


@user_group.command("add")
@click.argument("login")
@click.option("--name", required=True, help="The person's name, as colleagues read it.")
@click.option("--unit", required=True, help="The body the person works for.")
@click.option("--role", "roles", multiple=True, help=f"role or role:kind=value; may be repeated. Roles: {_ROLES}.")
@click.option("--subject", default="", help="issuer#subject of the identity provider, instead of a password here.")
@_BY
def user_add(login: str, name: str, unit: str, roles: tuple[str, ...], subject: str, by: str) -> None:
    """Open an account; prints its first password, which must be changed at the first sign-in."""
    with told(), office(current_settings()) as opened:
        password = people.add_person(opened.parts, login, name, unit, [*map(assignment_from, roles)], by, subject)
        click.echo(password or "由统一身份认证登录 / signs in by the identity provider")


@user_group.command("roles")
@click.argument("login")
@click.option("--role", "roles", multiple=True, help=f"role or role:kind=value; may be repeated. Roles: {_ROLES}.")
@_BY
def user_roles(login: str, roles: tuple[str, ...], by: str) -> None:
    """Give somebody these roles and no others, from their next page on; none at all takes every role away."""
    with told(), office(current_settings()) as opened:
        people.assign(opened.parts, login, [*map(assignment_from, roles)], by)


@user_group.command("disable")
@click.argument("login")
@_BY
def user_disable(login: str, by: str) -> None:
    """Close an account and end its sessions at once."""
    with told(), office(current_settings()) as opened:
        people.set_state(opened.parts, login, "disabled", by)


@user_group.command("enable")
@click.argument("login")
@_BY
def user_enable(login: str, by: str) -> None:
    """Open an account again, also one that is closed for a while after too many failures."""
    with told(), office(current_settings()) as opened:
        people.set_state(opened.parts, login, "active", by)


@user_group.command("unlock")
@click.argument("login")
@_BY
def user_unlock(login: str, by: str) -> None:
    """Let somebody sign in again at once who is kept waiting after failures."""
    with told(), office(current_settings()) as opened:
        people.unlock(opened.parts, login, by)


@user_group.command("reset-password")
@click.argument("login")
@_BY
def user_reset_password(login: str, by: str) -> None:
    """Print a new first password and end the person's sessions."""
    with told(), office(current_settings()) as opened:
        click.echo(people.reset_password(opened.parts, login, by))


@user_group.command("reset-totp")
@click.argument("login")
@_BY
def user_reset_totp(login: str, by: str) -> None:
    """Let somebody enrol a new second factor at the next sign-in, and end their sessions."""
    with told(), office(current_settings()) as opened:
        people.reset_second_factor(opened.parts, login, by)


@user_group.command("groups")
def user_groups() -> None:
    """Tell which groups of the identity provider give which roles, and which of those the list in force cannot hold."""
    with told(), office(current_settings()) as opened:
        rules = opened.parts.groups
        if rules is None:
            raise OperatorProblem("config.invalid", got="BROKER_OIDC_GROUPS_FILE", expected="a file")
        with opened.parts.store.read() as work:
            catalog = opened.parts.catalog_in_force(work, work.pulse())
        for group, given in rules.groups.items():
            click.echo(f"{group}: {' '.join(map(str, given))}")
            for one in unknown(given, catalog):
                click.echo(f"清单中没有：{one} / not in the list: {one}", err=True)


@user_group.command("list")
def user_list() -> None:
    """Everybody with their state and roles."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        for one in work.people():
            click.echo(f"{one.login} {one.state} {one.unit} {' '.join(map(str, one.effective))}".rstrip())

"""The ``broker`` command: run its processes, keep its registers, check and publish the list, verify what it signed."""

from __future__ import annotations

import click

from broker import __version__
from broker.cli.catalog import catalog_group
from broker.cli.catalog_exchange import catalog_export, catalog_import
from broker.cli.catalog_reports import catalog_coverage, catalog_diff
from broker.cli.consents import consent_group
from broker.cli.drafts import COMMANDS
from broker.cli.editions import edition_group
from broker.cli.embargoes import embargo_group
from broker.cli.explain import explain_command
from broker.cli.figures import figures_group
from broker.cli.flags import flag_group
from broker.cli.grants import (
    grant_applications,
    grant_apply,
    grant_approve,
    grant_refuse,
    grant_remind,
    grant_restore,
    grant_revoke,
    grant_suspend,
)
from broker.cli.log import log_group
from broker.cli.objections import objection_group
from broker.cli.orders import order_group
from broker.cli.people import user_group
from broker.cli.plan import plan_command
from broker.cli.processes import migrate_command, serve, sweep, work
from broker.cli.promises import promise_group
from broker.cli.registers import client_group, grant_group, keys_group
from broker.cli.retention import retention_group
from broker.cli.source_calls import source_group
from broker.cli.source_stops import source_open, source_stop, source_stopped
from broker.cli.sources import source_test
from broker.cli.verify import receipt_group
from broker.cli.witness import witness_group


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """材料免提交数据共享平台 – the data-sharing broker. Settings are environment variables; see docs/settings.md."""


for _command in (
    serve, work, sweep, migrate_command, keys_group, client_group, grant_group, catalog_group, edition_group,
    consent_group, embargo_group, objection_group, order_group, plan_command, explain_command, flag_group,
    figures_group, receipt_group, log_group, retention_group, promise_group, source_group, user_group,
):  # fmt: skip
    main.add_command(_command)
for _command in (catalog_coverage, catalog_diff, catalog_export, catalog_import):
    catalog_group.add_command(_command)
for _command in (
    grant_apply, grant_approve, grant_refuse, grant_suspend, grant_revoke, grant_restore, grant_applications,
    grant_remind,
):  # fmt: skip
    grant_group.add_command(_command)
for _command in COMMANDS:
    edition_group.add_command(_command)
main.add_command(witness_group)
for _command in (source_test, source_stop, source_open, source_stopped):
    source_group.add_command(_command)

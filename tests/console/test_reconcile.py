"""``prebuffer reconcile``: what it says, and where there is nothing to compare with."""

from typer.testing import CliRunner

from console.commands.reconcile import sentences
from console.main import app
from notifiers.reconcile import Reconciliation

FOUND = Reconciliation(
    listed={"unsubscribe": 2, "bounce": 5}, added={"bounce": 1}, ours=3, lifted=0, spared=12, malformed=1
)


def test_it_says_what_was_found_done_and_not_done():
    assert sentences(FOUND, dry_run=False) == [
        "SendGrid lists 5 bounce, 2 unsubscribe.",
        "Missing here, were added: 1 bounce.",
        "Gone there, were lifted here: 0.",
        "Only here, and stay: 3.",
        "12 are gone there, too many at once to be believed: none was lifted.",
        "1 rows were no address.",
    ]
    assert "Missing here, would be added: nothing." in sentences(Reconciliation(), dry_run=True)


def test_where_mail_does_not_go_through_sendgrid_it_says_so(config):
    result = CliRunner().invoke(app, ["reconcile", "--config", str(config)])
    assert result.exit_code == 1
    assert result.stderr.startswith("Mail does not go through SendGrid")

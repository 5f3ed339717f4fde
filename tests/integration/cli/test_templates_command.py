"""`engage templates` and the templates of the demo."""

import pytest
from typer.testing import CliRunner

from engage_pipeline.accounts.errors import NoTemplate
from engage_pipeline.accounts.templates import find_template, read_template_file, save_templates
from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.cli.app import app
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.yaml_file import read_flows
from engage_pipeline.settings import load_settings
from engage_pipeline.stack.example import FLOWS_FILE, TEMPLATES_FILE


@pytest.fixture
def run(database, monkeypatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", database)
    load_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(app, ["templates", *arguments])
    load_settings.cache_clear()


def test_the_demo_has_a_template_for_every_message_and_skips_nobody():
    _, templates = read_template_file(TEMPLATES_FILE)
    named = {(template.channel, template.name) for template in templates}
    wanted = {
        (action.action_type, action.action_config["template_id"])
        for tenant in read_flows(FLOWS_FILE)
        for flow in tenant.flows
        for action in flow.actions
        if "template_id" in action.action_config
    }
    assert wanted == named
    for template in templates:
        assert isinstance(template.render(Recipient(), unsubscribe_url="x"), dict)


def test_templates_are_saved_as_versions_and_previewed(run, connection, tmp_path):
    file = tmp_path / "templates.yaml"
    lines = (
        "tenant: demo\ntemplates:\n  - name: hi\n    channel: email\n    subject: Hi\n    text: '{{ first_name }}'\n"
    )
    file.write_text(lines)
    assert "1 saved, 0 unchanged" in run("apply", str(file)).output
    assert "0 saved, 1 unchanged" in run("apply", str(file)).output
    file.write_text(lines.replace("subject: Hi", "subject: Hello"))
    assert "version 2" in run("apply", str(file)).output
    assert "first_name" in run("list").output
    assert '"subject": "Hi"' in run("show", "hi", "--version", "1").output
    tenant = ensure_tenant(connection, "demo")
    connection.execute(
        "insert into contacts (user_id, entry_type, email, first_name)"
        " values (%s, 'manual', 'asha@example.com', 'Asha')",
        [tenant.user_id],
    )
    connection.execute(
        "insert into contacts (user_id, entry_type, email) values (%s, 'manual', 'nobody@example.com')",
        [tenant.user_id],
    )
    assert "Asha" in run("preview", "hi", "--contact", "asha@example.com").output
    nobody = run("preview", "hi", "--contact", "nobody@example.com")
    assert (nobody.exit_code, "missing_value" in nobody.output) == (1, True)


def test_templates_are_the_tenants_own(connection):
    _, templates = read_template_file(TEMPLATES_FILE)
    save_templates(connection, ensure_tenant(connection, "demo").user_id, templates)
    with pytest.raises(NoTemplate):
        find_template(connection, ensure_tenant(connection, "other").user_id, "welcome")

"""Templates: what is refused when saved, and what a contact gets."""

import pytest

from engage_pipeline.channels.http import Endpoint
from engage_pipeline.channels.mail import Mail, compose
from engage_pipeline.channels.protocol import Recipient, Skip
from engage_pipeline.channels.resend import ResendEmails
from engage_pipeline.channels.smtp import SmtpEmails, SmtpServer
from engage_pipeline.channels.templates import InvalidTemplate, Template
from engage_pipeline.channels.unsubscribe import UnsubscribeLinks
from engage_pipeline.channels.whatsapp import WhatsAppMessages

REFERENCE = "3f2b8a52-6a0f-4f53-9f0e-2f6f0b3f4d11"
ASHA = Recipient(
    phone_e164="+15550100123",
    email="asha@example.com",
    first_name="Asha <b>&",
    custom_fields={"Plan": "gold", "Team size": 7, "items": "three"},
)
LINKS = UnsubscribeLinks("https://hooks.example.com", b"key")


def email(text, subject="Hello", **fields):
    return Template("t", "email", {"subject": subject, "text": text}, **fields)


def composed(template, recipient=ASHA):
    return compose(
        recipient,
        {"template_id": "t"},
        reference=REFERENCE,
        sender="Acme <hello@example.com>",
        templates={"t": template},
        unsubscribe=LINKS,
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{ frist_name }}",
        "{{ plan }}",
        "{{ custom }}",
        "{{ custom[first_name] }}",
        "{{ first_name",
        "{% for x in first_name %}{% endfor %}",
        "{{ first_name.__class__.__mro__ }}{{ range(9) }}",
        "{{ first_name * 99999999 }}",
        "{% include 'x' %}",
        "{{ first_name | nosuchfilter }}",
        "{{ self }}",
    ],
)
def test_what_would_fail_or_escape_while_sending_is_refused_when_saved(text):
    with pytest.raises(InvalidTemplate):
        email(text).check()


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("fax", {"text": "x"}),
        ("email", {"subject": "x"}),
        ("email", {"subject": "x", "text": "x", "sms": "x"}),
        ("whatsapp_message", {"name": "x"}),
    ],
)
def test_the_parts_are_those_of_the_channel(channel, content):
    with pytest.raises(InvalidTemplate):
        Template("t", channel, content).check()


def test_a_misspelt_name_is_answered_with_the_right_one():
    with pytest.raises(InvalidTemplate) as caught:
        email("{{ frist_name }}").check()
    assert "first_name" in caught.value.fix


def test_a_default_for_nothing_is_refused():
    with pytest.raises(InvalidTemplate):
        email("{{ first_name }}", defaults={"company": "x"}).check()


def test_values_are_put_in_and_escaped_in_html_only():
    template = email("{{ first_name }} {{ custom.Plan }} {{ custom['Team size'] }} {{ custom.items }}")
    template.check()
    mail = composed(template)
    assert isinstance(mail, Mail)
    assert mail.text == "Asha <b>& gold 7 three"
    assert mail.html == "<p>Asha &lt;b&gt;&amp; gold 7 three</p>"
    own_html = Template("t", "email", {"subject": "s", "text": "t", "html": "<i>{{ first_name }}</i>"})
    assert composed(own_html).html == "<i>Asha &lt;b&gt;&amp;</i>"


def test_a_contact_without_a_needed_value_is_skipped_or_gets_the_default():
    assert composed(email("{{ company }}")) == Skip("missing_value", "company is not known of the contact")
    assert composed(email("{{ custom.Budget }}")).reason == "missing_value"
    assert composed(email("{{ company }}", defaults={"company": "your company"})).text == "your company"
    assert composed(email("{% if company %}x{% endif %}", defaults={"company": ""})).text == ""


@pytest.mark.parametrize("poison", ["Asha\r\nBcc: everybody@example.com", "Asha\nX: y", "Asha\0\x1b"])
def test_no_line_break_reaches_a_header(poison):
    recipient = Recipient(email="asha@example.com", first_name=poison)
    mail = composed(email("x", subject="Hello {{ first_name }}"), recipient)
    assert mail.subject.isprintable()
    smtp = SmtpEmails(SmtpServer("127.0.0.1", 25), "Acme <hello@example.com>", {"t": email("x", "{{ first_name }}")})
    request = smtp.prepare(recipient, {"template_id": "t"}, reference=REFERENCE)
    assert "\nBcc:" not in request["message"]


def test_no_line_break_of_an_action_reaches_a_header_of_resends_own_template():
    channel = ResendEmails(Endpoint("http://127.0.0.1"), "Acme <hello@example.com>")
    config = {"template_id": "own", "subject": "Hello\r\nBcc: all@example.com", "from": "Acme\n <hello@example.com>"}
    request = channel.prepare(Recipient(email="asha@example.com"), config, reference=REFERENCE)
    assert request["subject"] == "Hello Bcc: all@example.com"
    assert request["from"] == "Acme <hello@example.com>"


def test_an_email_can_be_stopped_by_one_click_and_its_link_names_nobody():
    headers = composed(email("{{ unsubscribe_url }}")).headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = headers["List-Unsubscribe"].strip("<>")
    token = link.rpartition("/")[2]
    assert str(LINKS.action_log_id(token)) == REFERENCE
    assert "asha" not in link
    for wrong in (token[:-1], token[1:], "", "x" * 43, token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
        assert LINKS.action_log_id(wrong) is None
    assert UnsubscribeLinks("https://hooks.example.com", b"other").action_log_id(token) is None


def test_a_whatsapp_template_has_header_body_and_buttons():
    content = {
        "name": "social_v2",
        "language": "hi",
        "header": ["{{ custom.Plan }}"],
        "body": ["{{ custom.Plan }}", {"size": "{{ custom['Team size'] }}"}],
        "buttons": [
            {"sub_type": "url", "index": 0, "parameters": ["{{ custom.Plan }}"]},
            {"sub_type": "quick_reply", "parameters": ["STOP"]},
        ],
    }
    channel = WhatsAppMessages(
        Endpoint("http://127.0.0.1"), templates={"t": Template("t", "whatsapp_message", content)}
    )
    template = channel.prepare(ASHA, {"template_id": "t"}, reference=REFERENCE)["body"]["template"]
    assert (template["name"], template["language"]["code"]) == ("social_v2", "hi")
    assert template["components"] == [
        {"type": "header", "parameters": [{"type": "text", "text": "gold"}]},
        {
            "type": "body",
            "parameters": [
                {"type": "text", "text": "gold"},
                {"type": "text", "parameter_name": "size", "text": "7"},
            ],
        },
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "gold"}]},
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": "1",
            "parameters": [{"type": "payload", "payload": "STOP"}],
        },
    ]

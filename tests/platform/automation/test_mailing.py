"""What goes over the wire, and what a template may do."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from typing import Any

import pytest

from ratoon.platform.automation.mailing import Mail, addresses, compose
from ratoon.platform.automation.rendering import Reader, TemplateFailed, render
from ratoon.platform.automation.webhooks import Undelivered
from ratoon.platform.metadata.template_model import Template

NOW = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)


def wire(**parts: Any) -> Any:
    mail = Mail(**{"to": ("a@x.cn",), "subject": "s", "text": "t", "key": "k", **parts})
    return message_from_bytes(compose(mail, "crm@x.cn", NOW).as_bytes(policy=SMTP), policy=SMTP)


def test_a_subject_stays_one_header_in_any_language() -> None:
    sent = wire(
        subject="续约提醒：莲花科技有限公司将于明天到期，请尽快联系客户并更新报价\r\nBcc: evil@x.cn\x00\u2028X: y"
    )
    assert sent["Bcc"] is None
    assert sent["Subject"].startswith("续约提醒：莲花科技有限公司")
    assert sent["Subject"].endswith("Bcc: evil@x.cn X: y")


def test_a_mail_sent_again_keeps_its_message_id_and_offers_to_stop() -> None:
    first, again, other = wire(), wire(text="later"), wire(key="k2")
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["List-Unsubscribe"] is None
    stopping = wire(unsubscribe="https://x.cn/stop/1")
    assert stopping["List-Unsubscribe"] == "<https://x.cn/stop/1>"
    assert stopping["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert wire(reply_to=("r@x.cn",))["Reply-To"] == "r@x.cn"


@pytest.mark.parametrize("text", ["nobody", "a b@x.cn", "王@x.cn"])
def test_what_is_no_address_is_refused_for_good(text: str) -> None:
    with pytest.raises(Undelivered) as refused:
        addresses(text)
    assert refused.value.passing is False


def test_a_line_break_between_addresses_separates_and_never_becomes_a_header() -> None:
    assert addresses("a@x.cn\r\nb@x.cn") == ("a@x.cn", "b@x.cn")
    assert addresses("a@x.cn\r\nBcc: b@x.cn") == ("a@x.cn", "b@x.cn")


def test_a_domain_in_chinese_goes_out_in_ascii() -> None:
    assert addresses("info@莲花.中国; b@x.cn") == ("info@xn--jh1anu.xn--fiqs8s", "b@x.cn")


def fill(text: str, html: bool = False, **record: Any) -> str | None:
    part = "html" if html else "text"
    return render(Template("t", "T", "x", {part: text}), part, {"record": record}, Reader())


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in record.s %}{% for b in record.s %}{% for c in record.s %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ record.s * 100000 }}",
        "{{ 'x'.ljust(100000000) }}",
        "{{ '%100000000d' % 1 }}",
        "{{ 2 ** 100000000 }}",
        "{{ record.s.__class__.__mro__ }}",
        "{% set x = record.s + record.s %}{% for a in record.s %}{{ x }}{% endfor %}{{ record.nothing }}",
    ],
)
def test_a_template_cannot_run_away_or_reach_outside(text: str) -> None:
    with pytest.raises(TemplateFailed):
        fill(text, s="x" * 300)


def test_a_template_does_what_letters_need() -> None:
    assert fill("{% for p in record.tags %}{{ loop.index }}{{ p }}{% if not loop.last %}, {% endif %}{% endfor %}",
                tags=("a", "b")) == "1a, 2b"  # fmt: skip
    assert fill("{{ record.n * 2 + 1 }} {{ record.s|upper }}", n=4, s="x") == "9 X"
    assert fill("<b>{{ record.s }}</b>", html=True, s="<script>") == "<b>&lt;script&gt;</b>"

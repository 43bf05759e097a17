"""What the API says of metadata, in the language of the request."""

from __future__ import annotations

from typing import Any

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM

MANIFEST = {"kind": "package", "name": "garden", "version": "1.0.0", "label": "Garden"}
PLANT: dict[str, Any] = {
    "kind": "object", "name": "plant", "label": "Plant", "plural_label": "Plants", "title": "name",
    "fields": [{"name": "name", "type": "text", "label": "Name"}],
}  # fmt: skip


def test_findings_and_plans_come_in_the_language_of_the_request(site: Any) -> None:
    with site.environment.write(SYSTEM) as records:
        accounts = Accounts(site.environment.world)
        user = accounts.create_user(records, name="Lin", email="lin@example.com", admin=True)
        token = accounts.create_token(records.connection, user, label="test")[0]
    headers = {"Accept-Language": "zh-CN", "Authorization": f"Bearer {token}"}

    def answer(path: str, plant: dict[str, Any], **more: Any) -> Any:
        files = {"manifest.json": MANIFEST, "plant/object.json": {**PLANT, **plant}}
        sent = site.app.test_client().post(f"/api/v1/metadata/{path}", json={"files": files, **more}, headers=headers)
        return sent.get_json()

    refused = answer("plan", {"fields": [{"name": "name", "type": "txt", "label": "Name"}]})
    finding = refused["findings"][0]
    assert (finding["code"], finding["message"]) == ("unknown_type", "没有字段类型 'txt'。")
    tables = answer("plan", {})["schema"]
    assert tables[0]["description"] == "为对象 Plant 创建表 plant。"
    rule = {"name": "odd", "error_when": "1 = 1", "message": "Odd"}
    (never,) = [f for f in answer("lint", {"rules": [rule]})["findings"] if f["code"] == "rule_always"]
    assert never["message"] == "规则总会触发：它的条件永远成立，所以任何记录都无法保存。"

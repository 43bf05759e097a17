"""Writes the demo data of the standard package: ``python tests/objects/make_demo.py [FOLDER]``.

The data in ``objects/_demo/`` is made here and committed; a test compares the two. Everything comes out of one seeded
random number generator and ``demo_words.json``, whose companies and people are invented. Days count from an anchor day
that the loader chooses: -30 is thirty days before it. Only ``Random.random`` is used, whose sequence is the same in
every version of Python.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).parent
T = TypeVar("T")
Record = dict[str, Any]
LANGUAGE = {"zh": "zh-Hans", "hant": "zh-Hant"}
WORKDAYS = (1, 3)
"""Tuesday and Thursday: the demo people work on these days, so that the loader can write in batches."""
SUNDAY = 6
"""Weekday of the usual anchor, 2026-11-01."""


def workday(day: float) -> int:
    """The last working day up to ``day``."""
    found = int(day // 1)
    while (found + SUNDAY) % 7 not in WORKDAYS:
        found -= 1
    return found


class Demo:
    """All records, in lists by object."""

    def __init__(self, words: dict[str, Any], seed: int = 20261101) -> None:
        self.words = words
        self._random = random.Random(seed).random
        self.accounts: list[Record] = []
        self.contacts: list[Record] = []
        self.opportunities: list[Record] = []
        self.lines: list[Record] = []
        self.leads: list[Record] = []
        self.cases: list[Record] = []
        self.activities: list[Record] = []
        self.campaigns: list[Record] = []
        self.products: list[Record] = []
        self.users: list[Record] = []
        self.facts: dict[str, dict[str, Any]] = {}
        """What the generator needs to know about an account beyond its values."""
        self.by_account: dict[str, list[Record]] = {}

    # chance

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self._random() * len(items))]

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + int(self._random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self._random() < share

    # the parts

    def make(self) -> dict[str, list[Record]]:
        """Every file's records, by file name, in the order they are loaded."""
        self._users()
        self._products()
        self._accounts()
        self._contacts()
        self._campaigns()
        self._opportunities()
        self._leads()
        self._cases()
        self._activities()
        self._members()
        self._later_changes()
        return {
            "10_user": self.users,
            "20_product": self.products,
            "30_account": self.accounts,
            "40_contact": self.contacts,
            "50_campaign": self.campaigns,
            "60_opportunity": self.opportunities,
            "61_opportunity_line": self.lines,
            "70_lead": self.leads,
            "80_case": self.cases,
            "90_activity": self.activities,
        }

    def _users(self) -> None:
        for person in self.words["users"]:
            values = {k: person[k] for k in ("name", "email", "locale", "time_zone")}
            self.users.append(
                {
                    "key": person["key"],
                    "day": -735,
                    "admin": person.get("admin", False),
                    "roles": person["roles"],
                    "values": values,
                }
            )

    def _sellers(self, region: str) -> list[str]:
        return [u["key"] for u in self.words["users"] if u.get("region") == region]

    def _products(self) -> None:
        for code, name, family, unit, price, cost, period in self.words["products"]:
            values: Record = {"code": code, "name": name, "family": family, "unit": unit, "list_price": price, "cost": cost}
            values |= {"list_price_currency": "CNY", "cost_currency": "CNY", "owner": "@user.sofia"}
            if period:
                values |= {"recurring": True, "billing_period": period}
            changes = [{"day": workday(-35), "values": {"active": False}}] if code.startswith("OLD") else []
            self.products.append(_record(code.lower(), workday(-730), values, changes))

    # accounts

    def _accounts(self) -> None:
        for region, children in (("zh", 9), ("hant", 5), ("west", 8)):
            for brand, domain in self.words["brands"][region]:
                self._group(region, brand, domain, children)
            for name, domain in self.words["singles"][region]:
                city = self.pick(self.words["cities"][region])
                shown = f"{name}有限公司" if region == "zh" and self.chance(0.6) else name
                industry = self.pick(["retail", "agriculture", "hospitality", "education", "media", "other"])
                self._account(shown, domain, region, city, industry, None, self.between(8, 180))

    def _group(self, region: str, brand: str, domain: str, children: int) -> None:
        cities, units = self.words["cities"][region], self.words["units"][region]
        suffix = {"zh": "集团", "hant": "集團", "west": " Group"}[region]
        top = self._account(brand + suffix, domain, region, cities[len(brand) % 3], "other", None, self.between(4000, 60000))
        middle: str | None = None
        for number in range(children):
            unit, industry = units[(len(self.accounts) + number) % len(units)]
            city = self.pick(cities)
            if region == "zh":
                name = f"{brand}（{city[0]}）{unit}有限公司"
            elif region == "hant":
                name = f"{brand}{unit}股份有限公司" if city[7] == "台灣" else f"{brand}{unit}（香港）有限公司"
            else:
                name = f"{brand} {unit} {city[9]}"
            if any(a["values"]["name"] == name for a in self.accounts):
                name = name.replace(unit, unit + ("二部" if region != "west" else " East"))
            parent = middle if middle is not None and number % 4 else top
            key = self._account(name, domain, region, city, industry, parent, self.between(60, 3500))
            if number % 4 == 0:
                middle = key

    def _account(
        self, name: str, domain: str, region: str, city: list[Any], industry: str, parent: str | None, employees: int
    ) -> str:
        number = len(self.accounts) + 1
        key = f"a{number:03d}"
        day = workday(-728 + number * 1.6 + self.between(0, 40))
        currency, country = ("CNY", "中国") if region == "zh" else (city[8], city[7])
        owner = self.pick(self._sellers(region))
        house = self.between(1, 220)
        street = f"{city[2]}{house}{'号' if region == 'zh' else '號'}" if region != "west" else f"{city[2]} {house}"
        values: Record = {
            "name": name,
            "external_ref": f"ACC-{number:04d}",
            "industry": industry,
            "rating": self.pick("aabbbbcccc"),
            "segments": ["enterprise" if employees > 2000 else "midsize" if employees > 200 else "small"],
            "phone": self._phone(region, city),
            "website": f"https://{domain}.example",
            "employees": employees,
            "annual_revenue": str(employees * self.between(40, 160) * 1000),
            "annual_revenue_currency": currency,
            "billing_street": street,
            "billing_city": city[0],
            "billing_state": city[1],
            "billing_postal_code": city[3],
            "billing_country": country,
            "place_latitude": f"{city[4] + self.between(-90, 90) / 1000:.4f}",
            "place_longitude": f"{city[5] + self.between(-90, 90) / 1000:.4f}",
            "owner": f"@user.{owner}",
        }
        if not city[3]:
            del values["billing_postal_code"]
        if parent:
            values["parent"] = f"@account.{parent}"
            day = max(day, self.facts[parent]["day"])
        if self.chance(0.25):
            values |= {"kind": "customer", "customer_since": day - self.between(40, 1400), "health_score": self.between(20, 98)}
        elif self.chance(0.05):
            values["kind"] = "partner"
        if self.chance(0.12):
            values["description"] = self.pick(self.words["notes"][region])
        self.accounts.append(_record(key, day, values))
        self.facts[key] = {"day": day, "region": region, "city": city, "currency": currency, "owner": owner, "domain": domain}
        return key

    def _phone(self, region: str, city: list[Any]) -> str:
        tail = f"{self.between(0, 99):02d}"
        if region == "zh":
            return f"+86 {city[6]} 5550 01{tail}"
        if region == "hant":
            return f"+{city[8 + 1]} {city[6]} 5550 01{tail}".replace("  ", " ")
        return f"{city[6]} 01{tail}"

    # contacts

    def _contacts(self) -> None:
        extra = 600 - 2 * len(self.accounts)
        for place, account in enumerate(self.accounts):
            count = 2 + extra * (place + 1) // len(self.accounts) - extra * place // len(self.accounts)
            self._team(account["key"], count)

    def _team(self, account: str, count: int) -> None:
        facts = self.facts[account]
        region, first = facts["region"], ""
        for number in range(count):
            key = f"c{len(self.contacts) + 1:04d}"
            last_name, first_name, mail = self._person(region, facts["city"])
            title, department, role = self.words["jobs"][region][(number * 2 + len(self.contacts)) % 7 % 6] if number else (
                self.words["jobs"][region][0]
            )
            values: Record = {
                "last_name": last_name,
                "first_name": first_name,
                "name_order": "family_first" if region != "west" else "given_first",
                "account": f"@account.{account}",
                "job_title": title,
                "department": department,
                "role": role,
                "email": f"{mail}.{len(self.contacts) + 1}@{facts['domain']}.example",
                "phone": self._phone(region, facts["city"]),
                "language": LANGUAGE.get(region, facts["city"][-1]),
                "owner": f"@user.{facts['owner']}",
            }
            if region == "zh":
                values["mobile"] = f"+86 1{self.between(30, 89)} 5550 {self.between(0, 9999):04d}"
            if self.chance(0.4):
                values["birthday"] = f"{self.between(1960, 2001)}-{self.between(1, 12):02d}-{self.between(1, 28):02d}"
            if first and self.chance(0.7):
                values["reports_to"] = f"@contact.{first}"
            if self.chance(0.04):
                values["do_not_call"] = True
            if self.chance(0.03):
                values["description"] = self.pick(["喜欢喝龙井茶 🍵", "Prefers calls before 10:00 ☎️", "يفضل التواصل بالبريد الإلكتروني", "🎂"])
            first = first or key
            record = _record(key, workday(facts["day"] + 6 + number * 3), values)
            self.contacts.append(record)
            self.by_account.setdefault(account, []).append(record)

    def _person(self, region: str, city: list[Any]) -> tuple[str, str, str]:
        people = self.words["people"]
        if city[0] == "Dubai" and self.chance(0.5):
            last, first, mail = self.pick(people["rtl"])
            return last, first, mail
        last, first = self.pick(people[region]["last"]), self.pick(people[region]["first"])
        if region == "west":
            mail = f"{first}.{last}".lower().replace("'", "").translate(_PLAIN)
            return last, first, mail
        return last[0], first[0], f"{first[1]}.{last[1]}"

    # campaigns

    def _campaigns(self) -> None:
        for number, (name, kind, start, days, budget, cost) in enumerate(self.words["campaigns"], 1):
            values: Record = {"name": name, "kind": kind, "starts_on": start, "ends_on": start + days}
            values |= {"budget": budget, "budget_currency": "CNY", "owner": self.pick(["@user.sofia", "@user.guo"])}
            made = workday(max(start - 60, -730) if start < 60 else -20)
            changes: list[Record] = []
            if name.startswith("Cancelled"):
                changes.append({"day": workday(start - 10), "values": {"status": "cancelled"}})
            elif start < 0:
                changes.append({"day": workday(start), "values": {"status": "running"}})
                if start + days < -2:
                    changes.append({"day": workday(start + days) + 2, "values": {"status": "finished"}})
            if cost and changes:
                changes[-1]["values"] |= {"actual_cost": cost, "actual_cost_currency": "CNY"}
            self.campaigns.append(_record(f"k{number:02d}", min(made, -9), values, changes))

    def _members(self) -> None:
        for campaign in self.campaigns:
            start = campaign["values"]["starts_on"]
            day = workday(min(start, -1))
            known = [c for c in self.contacts if c["day"] < day]
            links, status = {}, "attended" if start < -2 else "invited"
            for _ in range(min(len(known), self.between(12, 45))):
                answer = status if self.chance(0.55) else self.pick(["invited", "accepted", "declined"])
                link: Record = {"id": f"@contact.{self.pick(known)['key']}", "status": answer}
                if answer != "invited":
                    link["responded_on"] = day - self.between(0, 12)
                links[link["id"]] = link
            day = max(day, campaign["day"])
            if links:
                campaign["changes"] = sorted(
                    [*campaign.get("changes", []), {"day": day, "values": {"members": list(links.values())}}],
                    key=lambda change: change["day"],
                )

    # the rest is in the second half of this file

    def _opportunities(self) -> None:
        for number in range(1, 401):
            account = self.pick(self.accounts)["key"]
            facts = self.facts[account]
            ready = self.by_account[account][-1]["day"]
            day = workday(max(ready, -720 + 716 * self._random() ** 0.8))
            kind = self.pick(["new_business"] * 11 + ["expansion"] * 5 + ["renewal"] * 4)
            self._opportunity(f"o{number:03d}", account, facts, min(day, workday(-3)), kind)

    def _opportunity(self, key: str, account: str, facts: dict[str, Any], day: int, kind: str) -> None:
        region, currency = facts["region"], facts["currency"]
        title = self.pick(self.words["projects"][region])
        short = self.accounts[int(account[1:]) - 1]["values"]["name"]
        if kind == "renewal":
            title += {"zh": " 续约", "hant": " 續約", "west": " renewal"}[region]
        contact = self.by_account[account][0 if self.chance(0.6) else -1]["key"]
        values: Record = {
            "name": f"{short} – {title}",
            "account": f"@account.{account}",
            "primary_contact": f"@contact.{contact}",
            "kind": kind,
            "amount_currency": currency,
            "exchange_rate": self.words["rates"][currency],
            "close_date": day + self.between(45, 130),
            "source": self.pick(["website", "referral", "trade_fair", "webinar", "partner", "existing", "wechat", "cold_call"]),
            "owner": f"@user.{facts['owner']}",
        }
        running = [c for c in self.campaigns if day - 120 < c["values"]["starts_on"] < day]
        if running and self.chance(0.35):
            values["campaign"] = f"@campaign.{self.pick(running)['key']}"
        recurring = self._order(key, values, day, currency, facts["owner"])
        changes = self._journey(values, day, kind, recurring, region)
        self.opportunities.append(_record(key, day, values, changes))

    def _order(self, key: str, values: Record, day: int, currency: str, owner: str) -> bool:
        """Adds lines and the amount; tells whether one of them recurs."""
        if self.chance(0.2):
            values["amount"] = str(self.between(10, 400) * 1000)
            return False
        total, recurring, rate = Decimal(0), False, Decimal(self.words["rates"][currency])
        active = [p for p in self.words["products"] if not p[0].startswith("OLD")]
        for position in range(1, self.between(1, 4) + 1):
            code, _, _, unit, price, _, period = self.pick(active)
            most = {"user": 90, "device": 80, "site": 3, "day": 20, "hour": 120, "piece": 20}[unit]
            quantity, discount = self.between(1, most), self.pick([0, 0, 0, 5, 10, 15, 20])
            unit_price = max(1, int(Decimal(price) / rate))
            total += Decimal(quantity * unit_price * (100 - discount)) / 100
            recurring = recurring or bool(period)
            line: Record = {"opportunity": f"@opportunity.{key}", "position": position, "product": f"@product.{code.lower()}"}
            line |= {"quantity": quantity, "unit_price": str(unit_price), "owner": f"@user.{owner}"}
            if discount:
                line["discount"] = discount
            self.lines.append(_record(f"{key}_{position}", day, line))
        values["amount"] = f"{total:.2f}"
        return recurring

    def _journey(self, values: Record, day: int, kind: str, recurring: bool, region: str) -> list[Record]:
        """The stage moves: forwards through the pipeline until won, lost or the present."""
        path = ["in_review", "quoted", "won"] if kind == "renewal" else ["discovery", "proposal", "negotiation", "won"]
        lost_at = self.between(0, len(path) - 1) if self.chance(0.2 if kind == "renewal" else 0.46) else len(path)
        stalled_at = self.between(1, len(path) - 1) if self.chance(0.05) else len(path)
        moves: list[Record] = []
        for step, stage in enumerate(path):
            day = workday(day + self.between(8, 34))
            if day > -2 or step == stalled_at:
                break
            if step == lost_at:
                reason = self.pick(["price", "competitor", "feature", "timing", "budget", "no_decision"])
                lost: Record = {"stage": "lost", "loss_reason": reason}
                if reason == "competitor":
                    lost["competitor"] = self.pick(["Vellum CRM", "金梭软件", "Oakline Systems", "飛梭科技"])
                moves.append({"day": day, "values": lost})
                return moves
            change: Record = {"stage": stage}
            if stage == "won":
                change["close_date"] = day
                if recurring or kind == "renewal":
                    change |= {"contract_start": day + self.between(5, 40), "contract_months": self.pick([12, 12, 12, 24, 36])}
            elif self.chance(0.5):
                change["next_step"] = self.pick(self.words["next_steps"][region])
            moves.append({"day": day, "values": change})
        if not moves or moves[-1]["values"]["stage"] != "won":
            last = moves[-1]["day"] if moves else workday(-3)
            if values["close_date"] < 5 and self.chance(0.85):
                pushed = {"close_date": self.between(6, 140)}
                moves.append({"day": max(last, workday(-3)), "values": pushed})
        return moves

    def _leads(self) -> None:
        wins = [o for o in self.opportunities if o["day"] > -330 and o["values"]["kind"] == "new_business"][::5]
        for number in range(1, 151):
            key = f"l{number:03d}"
            if number <= min(28, len(wins)):
                self._converted_lead(key, wins[number - 1])
            else:
                self._fresh_lead(key)
        self.leads.sort(key=lambda lead: lead["key"])

    def _lead_values(self, region: str, city: list[Any], day: int) -> Record:
        last, first, mail = self._person(region, city)
        name = f"{first} {last}" if region == "west" else last + first
        brand = self.pick(self.words["singles"][region])
        running = [c for c in self.campaigns if day - 150 < c["values"]["starts_on"] < day]
        values: Record = {
            "name": name,
            "company": f"{brand[0]} {city[0]}",
            "email": f"{mail}.{len(self.leads) + 1}@{brand[1]}.example",
            "phone": self._phone(region, city),
            "source": self.pick(["website", "referral", "trade_fair", "webinar", "wechat", "social", "advertising"]),
            "industry": self.pick(["manufacturing", "retail", "logistics", "healthcare", "energy", "education", "other"]),
            "employees": self.between(5, 900),
            "country": "中国" if region == "zh" else city[7],
            "language": LANGUAGE.get(region, city[-1]),
            "score": self.between(5, 98),
            "owner": f"@user.{self.pick(self._sellers(region))}",
        }
        if self.chance(0.5):
            values |= {"budget": str(self.between(2, 60) * 10000), "budget_currency": "CNY" if region == "zh" else city[8]}
        if self.chance(0.7):
            values["consent"] = True
        if running and self.chance(0.6):
            values["campaign"] = f"@campaign.{self.pick(running)['key']}"
        return values

    def _converted_lead(self, key: str, opportunity: Record) -> None:
        account = opportunity["values"]["account"].removeprefix("@account.")
        facts = self.facts[account]
        day = workday(opportunity["day"] - self.between(10, 30))
        values = self._lead_values(facts["region"], facts["city"], day)
        values |= {"company": self.accounts[int(account[1:]) - 1]["values"]["name"], "owner": opportunity["values"]["owner"]}
        done: Record = {"stage": "converted", "converted_account": f"@account.{account}"}
        done |= {"converted_contact": opportunity["values"]["primary_contact"], "converted_opportunity": f"@opportunity.{opportunity['key']}"}
        changes = [
            {"day": workday(day + 4), "values": {"stage": "contacted"}},
            {"day": workday(day + 8), "values": {"stage": "qualified"}},
            {"day": max(opportunity["day"], workday(day + 8)), "values": done},
        ]
        self.leads.append(_record(key, day, values, changes))

    def _fresh_lead(self, key: str) -> None:
        region = self.pick(["zh", "zh", "zh", "hant", "west", "west"])
        city = self.pick(self.words["cities"][region])
        day = workday(-2 - 260 * self._random() ** 1.6)
        changes: list[Record] = []
        moved = day
        for stage in ("contacted", "qualified"):
            moved = workday(moved + self.between(4, 18))
            if moved > -2 or self.chance(0.25):
                break
            changes.append({"day": moved, "values": {"stage": stage}})
        moved = workday(moved + self.between(10, 40))
        if moved < -2 and self.chance(0.7):
            reason = self.pick(["no_need", "no_budget", "no_answer", "competitor", "duplicate"])
            changes.append({"day": moved, "values": {"stage": "disqualified", "disqualify_reason": reason}})
        self.leads.append(_record(key, day, self._lead_values(region, city, day), changes))

    def _cases(self) -> None:
        for number in range(1, 241):
            account = self.pick(self.accounts)["key"]
            facts = self.facts[account]
            zh = facts["region"] != "west"
            category, sub, chinese, english, priority = self.pick(self.words["cases"])
            contact = self.pick(self.by_account[account])
            day = workday(max(contact["day"] + 10, -700 + 698 * self._random() ** 0.8))
            values: Record = {
                "subject": chinese if zh else english,
                "account": f"@account.{account}",
                "contact": f"@contact.{contact['key']}",
                "category": category,
                "subcategory": sub,
                "priority": priority,
                "origin": self.pick(["phone", "email", "portal", "wechat" if zh else "chat"]),
                "owner": self.pick(["@user.jun", "@user.layla"]),
            }
            if category == "fault":
                values["product"] = f"@product.{self.pick(self.words['products'])[0].lower()}"
            self.cases.append(_record(f"s{number:03d}", min(day, -3), values, self._case_moves(min(day, -3), zh)))

    def _case_moves(self, day: int, zh: bool) -> list[Record]:
        moves: list[Record] = []
        for stage in ("in_progress", *self.pick([(), (), ("waiting",), ("escalated",), ("waiting", "in_progress")])):
            day = workday(day + self.between(2, 8))
            if day > -2:
                return moves
            moves.append({"day": day, "values": {"stage": stage}})
        day = workday(day + self.between(2, 12))
        if day > -2:
            return moves
        if self.chance(0.9):
            values: Record = {"stage": "resolved", "solution": self.pick(self.words["solutions"])[0 if zh else 1]}
            if self.chance(0.6):
                values["satisfaction"] = self.pick([2, 3, 4, 4, 5, 5, 5])
        else:
            values = {"stage": "closed"}
        return [*moves, {"day": day, "values": values}]

    def _activities(self) -> None:
        targets = [("opportunity", o) for o in self.opportunities] * 2
        targets += [("account", a) for a in self.accounts] + [("lead", x) for x in self.leads]
        targets += [("contact", c) for c in self.contacts[::4]] + [("case", c) for c in self.cases[::3]]
        for number in range(1, 1201):
            object_name, record = targets[number * 7 % len(targets)]
            self._activity(f"t{number:04d}", object_name, record, planned=number % 13 == 0)

    def _activity(self, key: str, object_name: str, record: Record, planned: bool) -> None:
        owner = record["values"]["owner"]
        person = next(u for u in self.words["users"] if u["key"] == owner.removeprefix("@user."))
        region = {"zh-Hans": "zh", "zh-Hant": "hant"}.get(person["locale"], "west")
        kind = self.pick(["call", "call", "meeting", "email", "task"])
        day = workday(min(record["day"] + self.between(0, 90), -1))
        if planned:
            day = max(workday(-4), record["day"])
        due = self.between(1, 40) if planned else day
        if planned and self.chance(0.2):
            due = self.between(-3, 0)
        values: Record = {
            "subject": self.pick(self.words["activities"][kind][region]),
            "kind": kind,
            "about": f"@{object_name}.{record['key']}",
            "due": f"{due:+d} {self.between(1, 9):02d}:{self.pick(['00', '15', '30', '45'])}",
            "owner": owner,
        }
        if kind in ("call", "meeting"):
            values["duration"] = self.pick([600, 900, 1800, 3600]) * (1 if kind == "call" else 2)
        if kind == "meeting":
            values["location"] = self.pick(["Teams", "腾讯会议", "客户现场 / on site", "Head office"])
        if not planned:
            values["done"] = True
            if kind == "call":
                values["outcome"] = self.pick(["reached", "reached", "reached", "voicemail", "no_answer", "call_back"])
        if self.chance(0.25):
            values["notes"] = self.pick(self.words["notes"][region])
        if self.chance(0.1):
            values["priority"] = self.pick(["low", "high", "urgent"])
        self.activities.append(_record(key, max(day, record["day"]), values))

    def _later_changes(self) -> None:
        """Customers cool down, warm up, leave."""
        for account in self.accounts:
            if "health_score" in account["values"] and self.chance(0.5):
                day = workday(self.between(account["day"] + 30, -1))
                account.setdefault("changes", []).append({"day": day, "values": {"health_score": self.between(15, 99)}})
            if self.chance(0.03):
                account.setdefault("changes", []).append({"day": workday(-5), "values": {"kind": "former"}})


_PLAIN = str.maketrans({"ø": "o", "ö": "oe", "ä": "ae", "ü": "ue", "é": "e", "í": "i", "É": "e", " ": ""})


def _record(key: str, day: int, values: Record, changes: list[Record] | None = None) -> Record:
    made: Record = {"key": key, "day": day, "values": values}
    if changes:
        made["changes"] = changes
    return made


def documents() -> dict[str, str]:
    """File name → content of every demo file."""
    words = json.loads((HERE / "demo_words.json").read_text(encoding="utf-8"))
    files: dict[str, dict[str, Any]] = {}
    for name, records in Demo(words).make().items():
        files[name] = {"kind": "demo", "object": name.partition("_")[2], "records": records}
    files["90_activity"]["updates"] = [
        {"day": -1, "where": "AND(NOT(done), due < NOW() - 2)", "values": {"done": True}},
    ]
    return {
        f"{name}.json": json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1) + "\n" for name, data in files.items()
    }


def main(folder: Path) -> None:
    """Writes the files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "objects" / "_demo")

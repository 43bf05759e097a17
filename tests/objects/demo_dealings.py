"""What happened between the companies and us: opportunities with their lines, leads, cases, activities."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from demo_chance import Record, record, workday
from demo_companies import LANGUAGE, Companies


class Dealings(Companies):
    """Everything that happened."""

    def __init__(self, words: dict[str, Any], seed: int) -> None:
        super().__init__(words, seed)
        self.opportunities: list[Record] = []
        self.lines: list[Record] = []
        self.leads: list[Record] = []
        self.cases: list[Record] = []
        self.activities: list[Record] = []
        self._opportunities()
        self._leads()
        self._cases()
        self._activities()
        self._later_changes()
        self.submissions = list(self._submissions())

    def _submissions(self) -> Iterator[Record]:
        """Discounts that wait for a yes: of the manager, of management; one that got it and one that did not."""
        largest: dict[str, float] = {}
        for line in self.lines:
            key = line["values"]["opportunity"].rpartition(".")[2]
            largest[key] = max(largest.get(key, 0), line["values"].get("discount") or 0)
        managers = {f"@user.{u['key']}": f"@user.{u['manager']}" for u in self.words["users"] if "manager" in u}
        small, large = [], []
        for deal in self.opportunities:
            values = deal["values"] | {k: v for c in deal.get("changes", ()) for k, v in c["values"].items()}
            if values.get("stage") not in ("proposal", "negotiation", "quoted", None):
                continue
            if largest.get(deal["key"], 0) >= 20 and managers.get(values["owner"]):
                base = Decimal(str(values.get("amount") or 0)) * Decimal(str(values["exchange_rate"]))
                (large if base >= 500_000 else small).append((deal["key"], managers[values["owner"]]))
        words = {
            "@user.guo": "客户承诺签三年，竞争对手报价更低。",
            "@user.sofia": "They sign for three years; a rival is cheaper.",
        }
        for number, (key, manager) in enumerate([*small[:6], *large[:3]]):
            made: Record = {"day": -1, "key": key, "approval": "discount", "comment": words[manager]}
            if number >= 6:
                made["answers"] = [{"by": manager, "approve": True, "comment": ""}]
            elif number < 2:
                made["answers"] = [{"by": manager, "approve": number == 0, "comment": ""}]
            yield made

    def _moment(self, before: int, *, recent: int, share: float) -> float:
        """A day within the last ``before``; that share of them within the last ``recent``."""
        return -3 - self.share() * (recent if self.chance(share) else before - 3)

    def _opportunities(self) -> None:
        for number in range(1, 401):
            account = self.pick(self.accounts)["key"]
            facts = self.facts[account]
            ready = self.by_account[account][-1]["day"]
            day = workday(max(ready, self._moment(720, recent=75, share=0.24)))
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
            "source": self.pick(
                ["website", "referral", "trade_fair", "webinar", "partner", "existing", "wechat", "cold_call"]
            ),
            "owner": f"@user.{facts['owner']}",
        }
        running = [c for c in self.campaigns if day - 120 < c["values"]["starts_on"] < day]
        if running and self.chance(0.35):
            values["campaign"] = f"@campaign.{self.pick(running)['key']}"
        recurring = self._order(key, values, day, currency, facts["owner"])
        changes = self._journey(values, day, kind, recurring, region)
        self.opportunities.append(record(key, day, values, changes))

    def _order(self, key: str, values: Record, day: int, currency: str, owner: str) -> bool:
        """Adds lines and the amount; tells whether one of them recurs."""
        if self.chance(0.2):
            values["amount"] = str(int(self.between(10, 400) * 10 / Decimal(self.words["rates"][currency])) * 100)
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
            line: Record = {
                "opportunity": f"@opportunity.{key}",
                "position": position,
                "product": f"@product.{code.lower()}",
            }
            line |= {"quantity": quantity, "unit_price": str(unit_price), "owner": f"@user.{owner}"}
            if discount:
                line["discount"] = discount
            self.lines.append(record(f"{key}_{position}", day, line))
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
                    change |= {
                        "contract_start": day + self.between(5, 40),
                        "contract_months": self.pick([12, 12, 12, 24, 36]),
                    }
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
            "industry": self.pick(
                ["manufacturing", "retail", "logistics", "healthcare", "energy", "education", "other"]
            ),
            "employees": self.between(5, 900),
            "country": "中国" if region == "zh" else city[7],
            "language": LANGUAGE.get(region, city[-1]),
            "score": self.between(5, 98),
            "owner": f"@user.{self.pick(self._sellers(region))}",
        }
        if self.chance(0.5):
            values |= {
                "budget": str(self.between(2, 60) * 10000),
                "budget_currency": "CNY" if region == "zh" else city[8],
            }
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
        values |= {
            "company": self.accounts[int(account[1:]) - 1]["values"]["name"],
            "owner": opportunity["values"]["owner"],
        }
        done: Record = {"stage": "converted", "converted_account": f"@account.{account}"}
        done |= {
            "converted_contact": opportunity["values"]["primary_contact"],
            "converted_opportunity": f"@opportunity.{opportunity['key']}",
        }
        changes = [
            {"day": workday(day + 4), "values": {"stage": "contacted"}},
            {"day": workday(day + 8), "values": {"stage": "qualified"}},
            {"day": max(opportunity["day"], workday(day + 8)), "values": done},
        ]
        self.leads.append(record(key, day, values, changes))

    def _fresh_lead(self, key: str) -> None:
        region = self.pick(["zh", "zh", "zh", "hant", "west", "west"])
        city = self.pick(self.words["cities"][region])
        day = workday(-2 - 260 * self.share() ** 1.6)
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
        self.leads.append(record(key, day, self._lead_values(region, city, day), changes))

    def _cases(self) -> None:
        for number in range(1, 241):
            account = self.pick(self.accounts)["key"]
            facts = self.facts[account]
            zh = facts["region"] != "west"
            category, sub, chinese, english, priority = self.pick(self.words["cases"])
            contact = self.pick(self.by_account[account])
            day = workday(max(contact["day"] + 10, self._moment(700, recent=12, share=0.14)))
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
            self.cases.append(record(f"s{number:03d}", min(day, -3), values, self._case_moves(min(day, -3), zh)))

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
            object_name, target = targets[number * 7 % len(targets)]
            self._activity(f"t{number:04d}", object_name, target, planned=number % 13 == 0)

    def _activity(self, key: str, object_name: str, target: Record, planned: bool) -> None:
        owner = target["values"]["owner"]
        person = next(u for u in self.words["users"] if u["key"] == owner.removeprefix("@user."))
        region = {"zh-Hans": "zh", "zh-Hant": "hant"}.get(person["locale"], "west")
        kind = self.pick(["call", "meeting", "task"] if planned else ["call", "call", "meeting", "email", "task"])
        day = workday(min(target["day"] + self.between(0, 90), -1))
        if planned:
            day = max(workday(-4), target["day"])
        due = self.between(1, 40) if planned else day
        if planned and self.chance(0.2):
            due = self.between(-3, 0)
        values: Record = {
            "subject": self.pick(self.words["activities"][kind][region]),
            "kind": kind,
            "about": f"@{object_name}.{target['key']}",
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
        self.activities.append(record(key, max(day, target["day"]), values))

    def _later_changes(self) -> None:
        """Customers get a health score, cool down, warm up, leave."""
        won: dict[str, int] = {}
        for sale in self.opportunities:
            for change in sale.get("changes", []):
                if change["values"].get("stage") == "won":
                    won.setdefault(sale["values"]["account"].removeprefix("@account."), change["day"])
        for account in self.accounts:
            changes = account.setdefault("changes", [])
            since = account["day"] if "health_score" in account["values"] else won.get(account["key"])
            if since is not None:
                first = max(since, account["day"]) + 7
                for _ in range(self.between(1, 3)):
                    day = workday(self.between(min(first, -4), -3))
                    changes.append({"day": max(day, account["day"]), "values": {"health_score": self._health()}})
            if self.chance(0.03):
                changes.append({"day": workday(-5), "values": {"kind": "former"}})
            changes.sort(key=lambda change: change["day"])
            if not changes:
                del account["changes"]

    def _health(self) -> int:
        return self.between(12, 45) if self.chance(0.15) else self.between(50, 99)

"""The companies of the demo: users, products, accounts in groups, their people, campaigns."""

from __future__ import annotations

from typing import Any

from demo_chance import Chance, Record, record, workday

LANGUAGE = {"zh": "zh-Hans", "hant": "zh-Hant"}
PLAIN = str.maketrans({"ø": "o", "ö": "oe", "ä": "ae", "ü": "ue", "é": "e", "í": "i", "É": "e", " ": ""})


class Companies(Chance):
    """Who there is."""

    def __init__(self, words: dict[str, Any], seed: int) -> None:
        super().__init__(seed)
        self.words = words
        self.users: list[Record] = []
        self.products: list[Record] = []
        self.accounts: list[Record] = []
        self.contacts: list[Record] = []
        self.campaigns: list[Record] = []
        self.facts: dict[str, dict[str, Any]] = {}
        """What the generator needs to know about an account beyond its values."""
        self.by_account: dict[str, list[Record]] = {}
        self._users()
        self._products()
        self._accounts()
        self._contacts()
        self._campaigns()
        self._members()

    def _users(self) -> None:
        for person in self.words["users"]:
            values = {k: person[k] for k in ("name", "email", "locale", "time_zone")}
            if "manager" in person:
                values["manager"] = f"@user.{person['manager']}"
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
            values: Record = {
                "code": code,
                "name": name,
                "family": family,
                "unit": unit,
                "list_price": price,
                "cost": cost,
            }
            values |= {"list_price_currency": "CNY", "cost_currency": "CNY", "owner": "@user.sofia"}
            if period:
                values |= {"recurring": True, "billing_period": period}
            changes = [{"day": workday(-35), "values": {"active": False}}] if code.startswith("OLD") else []
            self.products.append(record(code.lower(), workday(-730), values, changes))

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
        top = self._account(
            brand + suffix, domain, region, cities[len(brand) % 3], "other", None, self.between(4000, 60000)
        )
        middle: str | None = None
        offset = self.between(0, len(units) - 1)
        for number in range(children):
            unit, industry = units[(offset + number) % len(units)]
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
            values |= {
                "kind": "customer",
                "customer_since": day - self.between(40, 1400),
                "health_score": self.between(20, 98),
            }
        elif self.chance(0.05):
            values["kind"] = "partner"
        if self.chance(0.12):
            values["description"] = self.pick(self.words["notes"][region])
        self.accounts.append(record(key, day, values))
        self.facts[key] = {
            "day": day,
            "region": region,
            "city": city,
            "currency": currency,
            "owner": owner,
            "domain": domain,
        }
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
            jobs = self.words["jobs"][region]
            title, department, role = self.pick(jobs[2:] if number else jobs[:3])
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
                values["description"] = self.pick(
                    ["喜欢喝龙井茶 🍵", "Prefers calls before 10:00 ☎️", "يفضل التواصل بالبريد الإلكتروني", "🎂"]
                )
            first = first or key
            person = record(key, workday(facts["day"] + 6 + number * 3), values)
            self.contacts.append(person)
            self.by_account.setdefault(account, []).append(person)

    def _person(self, region: str, city: list[Any]) -> tuple[str, str, str]:
        people = self.words["people"]
        if city[0] == "Dubai" and self.chance(0.5):
            last, first, mail = self.pick(people["rtl"])
            return last, first, mail
        last, first = self.pick(people[region]["last"]), self.pick(people[region]["first"])
        if region == "west":
            mail = f"{first}.{last}".lower().replace("'", "").translate(PLAIN)
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
            self.campaigns.append(record(f"k{number:02d}", min(made, -9), values, changes))

    def _members(self) -> None:
        for campaign in self.campaigns:
            start = campaign["values"]["starts_on"]
            day = workday(min(start, -1))
            known = [c for c in self.contacts if c["day"] < day]
            links: dict[str, Record] = {}
            held = start < -2 and not campaign["values"]["name"].startswith("Cancelled")
            status = "attended" if held else "invited"
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

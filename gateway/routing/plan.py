"""The routing table: receivers and a day in, one AxisRoute for each axis out, with the reasons.

In:     a Directory, ordered Routes; receiver codes as the submission writes them; a day.
Out:    RoutePlan; Explanation for `agencies route`.
Fails:  Misconfigured for a route that names nobody, two things, or an unknown agency.
Never:  splits a ready-made package, drops a receiver, or falls back to another axis by itself.
Next:   outbound.accept packs one package for each AxisRoute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.errors import Finding, Misconfigured, Severity, Text
from gateway.model.agency import Agency, AgencyCode
from gateway.model.submission import AxisRoute
from gateway.routing.directory import Directory, not_in_directory

LOOPBACK = "loopback"
_SERVED_HERE = Text("cơ quan do chính cổng này phục vụ", "served by this gateway itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of conf: which agencies go by which axis. The first line that fits decides.

    Exactly one of: `agency` (this one, either written form), `under` (this one and all below it by
    the directory's parents), `level1` (`H14`: everything whose code has this level 1; `H`: every
    level 1 of this letter), `everyone`. `also`: further axes that reach these agencies too; they
    matter only for a ready-made package, which must go whole. `encrypt`: files go encrypted to
    the receiver's certificate. `local`: it holds for agencies served here too, which otherwise get
    everything under the same roof: an axis may insist that what it is to know goes over it.
    """

    axis: str
    agency: str = ""
    under: str = ""
    level1: str = ""
    everyone: bool = False
    also: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = ""
    encrypt: bool = False
    local: bool = False

    def in_force(self, day: date) -> bool:
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day <= self.valid_to)

    def words(self) -> str:
        """The condition as conf writes it: `under = H14`."""
        for name in ("agency", "under", "level1"):
            value = getattr(self, name)
            if value:
                return f"{name} = {value}"
        return "everyone"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """`findings` empty: every receiver stands in exactly one of `routes`."""

    routes: tuple[AxisRoute, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a code leads on a day. `axis` is "" when it leads nowhere; `why` says why."""

    agency: Agency | None
    axis: str
    why: tuple[Text, ...]
    findings: tuple[Finding, ...] = ()
    encrypt: bool = False


class RoutingTable:
    """Immutable once made; knows the directory and therefore the local agencies."""

    def __init__(self, directory: Directory, routes: Iterable[Route]) -> None:
        self.directory = directory
        self.routes = tuple(routes)
        findings = [f for n, route in enumerate(self.routes) for f in self._mistakes(n, route)]
        if findings:
            raise Misconfigured(
                Text("Bảng định tuyến có lỗi.", "The routing table has mistakes."),
                code="conf.routes_invalid",
                findings=tuple(findings),
            )

    def find(self, code: str, day: date | None = None) -> Agency | None:
        return self.directory.find(code, day)

    def local_agencies(self) -> tuple[Agency, ...]:
        return self.directory.local_agencies()

    def local_among(self, codes: Sequence[str]) -> tuple[str, ...]:
        return self.directory.local_among(codes)

    def plan(self, receivers: Sequence[str], day: date) -> RoutePlan:
        """One AxisRoute for each axis, in the order of the receivers; codes as written.

        Two, where some of an axis' receivers get files encrypted and others do not.

        Findings: `agency.unknown`, `agency.closed`, `agency.not_yet`, `route.none`, each at
        `to[i].organ_id`; any of them refuses the whole submission.
        """
        findings: list[Finding] = []
        by_axis: dict[tuple[str, bool], tuple[list[str], list[str]]] = {}
        for index, code in enumerate(receivers):
            told = self.explain(code, day, path=f"to[{index}].organ_id")
            findings.extend(told.findings)
            if told.axis:
                served, why = by_axis.setdefault((told.axis, told.encrypt), ([], []))
                served.append(code)
                why.append(f"{code}: {told.why[-1].en}")
        routes = tuple(
            AxisRoute(axis, tuple(served), tuple(why), encrypt)
            for (axis, encrypt), (served, why) in by_axis.items()
        )
        return RoutePlan(routes, tuple(findings))

    def explain(self, code: str, day: date, path: str = "organ_id") -> Explanation:
        """Where this code leads on this day and why; the findings are those of `plan`."""
        agency = self.directory.find(code, day)
        findings = self.directory.standing(code, day, path)
        if agency is None or findings:
            return Explanation(agency, "", tuple(f.text for f in findings), findings)
        if self.directory.is_local(code) and self._insisting(agency, day) is None:
            return Explanation(agency, LOOPBACK, (_SERVED_HERE,))
        passed: list[Text] = []
        for number, route in enumerate(self.routes):
            if self.directory.is_local(code) and not route.local:
                continue
            said = f"route[{number}] ({route.words()})"
            if not route.in_force(day):
                passed.append(Text(f"{said}: chưa hoặc hết hiệu lực", f"{said}: not in force"))
            elif self._fits(route, agency):
                note = f"; {route.note}" if route.note else ""
                vi, en = (", mã hóa tệp", ", files encrypted") if route.encrypt else ("", "")
                taken = f"{said} -> {route.axis}"
                why = (*passed, Text(f"{taken}{vi}{note}", f"{taken}{en}{note}"))
                return Explanation(agency, route.axis, why, encrypt=route.encrypt)
            else:
                passed.append(Text(f"{said}: không khớp", f"{said}: does not fit"))
        text = Text(
            f"Không có tuyến nào tới {code.strip()[:60]}.",
            f"No route leads to {code.strip()[:60]}.",
        )
        finding = Finding(path, "route.none", Severity.ERROR, text)
        return Explanation(agency, "", (*passed, text), (finding,))

    def whole_package_axis(self, receivers: Sequence[str], day: date) -> RoutePlan:
        """The one road of a package made by a unit system, which is never split.

        All receivers local: loopback. Otherwise the one axis that reaches all of them, local ones
        included, the first receiver's own axis first; none: finding `route.split_required`.
        A route that encrypts: finding `encryption.ready_made`. The plan has one route or findings,
        never both; without receivers it has neither.
        """
        plan = self.plan(receivers, day)
        if plan.findings or not receivers:
            return RoutePlan((), plan.findings)
        if len(plan.routes) == 1 and plan.routes[0].axis == LOOPBACK:
            return plan
        if any(route.encrypt for route in plan.routes):
            return RoutePlan((), (_ready_made(),))
        common: list[str] | None = None
        for code in receivers:
            axes = self._axes(code, day)
            common = axes if common is None else [axis for axis in common if axis in axes]
        if common:
            why = f"{common[0]} reaches every receiver: the package goes whole"
            return RoutePlan((AxisRoute(common[0], tuple(receivers), (why,)),))
        axes_named = ", ".join(sorted({route.axis for route in plan.routes}))
        text = Text(
            f"Gói tin do đơn vị tạo không được tách, nhưng bên nhận nằm trên nhiều trục "
            f"({axes_named}). Hãy gửi riêng cho từng trục.",
            f"A ready-made package is never split, but no single axis reaches all its receivers "
            f"({axes_named}). Submit one package for each.",
        )
        return RoutePlan((), (Finding("to", "route.split_required", Severity.ERROR, text),))

    def _axes(self, code: str, day: date) -> list[str]:
        """Axes that reach an agency, as if it were not served here; preferred first.

        Where an axis insists on a local agency, that one.
        """
        agency = self.directory.find(code, day)
        if agency is not None and self.directory.is_local(code):
            insisting = self._insisting(agency, day)
            if insisting is not None:
                return [insisting.axis, *insisting.also]
        for route in self.routes:
            if agency is not None and route.in_force(day) and self._fits(route, agency):
                return [route.axis, *route.also]
        return []

    def _insisting(self, agency: Agency, day: date) -> Route | None:
        """The route over which an agency gets even what is sent under its own roof."""
        return next(
            (r for r in self.routes if r.local and r.in_force(day) and self._fits(r, agency)), None
        )

    def _fits(self, route: Route, agency: Agency) -> bool:
        if route.everyone:
            return True
        if route.agency:
            return self.directory.key_of(route.agency) == agency.code.upper()
        if route.under:
            return self.directory.key_of(route.under) in self.directory.ancestors(agency)
        code = AgencyCode(agency.code)
        level1 = (code.as_new_form() or code.text).partition(".")[0]
        wanted = route.level1.upper()
        return level1 == wanted or (len(wanted) == 1 and level1[0] == wanted)

    def _mistakes(self, number: int, route: Route) -> Iterable[Finding]:
        conditions = (route.agency, route.under, route.level1, route.everyone)
        if sum(bool(c) for c in conditions) != 1:
            detail = "exactly one of agency, under, level1, everyone must be given"
            yield _mistake(f"route[{number}]", detail)
        for name in ("agency", "under"):
            code = getattr(route, name)
            if code and self.directory.find(code) is None:
                yield _mistake(f"route[{number}].{name}", *not_in_directory(code))
        for axis in (route.axis, *route.also):
            if axis in ("", LOOPBACK):
                detail = "an axis is named; local agencies need no route"
                yield _mistake(f"route[{number}].axis", detail)


def _ready_made() -> Finding:
    text = Text(
        "Tuyến tới nơi nhận phải mã hóa tệp, nhưng gói tin có sẵn không được thay đổi; hãy gửi văn "
        "bản và tệp để gateway đóng gói",
        "the route encrypts files, and a ready-made package is never changed; hand in the document "
        "and its files instead",
    )
    return Finding("to", "encryption.ready_made", Severity.ERROR, text)


def _mistake(path: str, detail: str, en: str = "") -> Finding:
    """`detail`: where the words are the same in both languages, or the Vietnamese ones."""
    text = Text(f"Bảng định tuyến không hợp lệ: {detail}", f"routing table: {en or detail}")
    return Finding(path, "conf.routes_invalid", Severity.ERROR, text)

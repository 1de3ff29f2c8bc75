"""Tables of figures: printed, and kept as JSON and as a short page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Figure = float | int | str
NOTE = (
    "Ratios are to a floor measured in the same run; rounds interleaved, medians. *strangers*: "
    "the share of the cores that went to processes which are none of ours."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `within`: for figures that have a bound, whether they keep it. `raw`: for JSON."""

    name: str
    figures: Mapping[str, Figure]
    within: Mapping[str, bool] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    aim: str
    lines: Sequence[Line]

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for line in self.lines for name in line.figures))

    def cells(self) -> list[list[str]]:
        """Heading and rows as text."""
        columns = self.columns()
        rows = [["", *columns, "bounds"]]
        for line in self.lines:
            verdict = ""
            if line.within:
                over = [name for name, kept in line.within.items() if not kept]
                verdict = "over: " + ", ".join(over) if over else "PASS"
            rows.append([line.name, *(_shown(line.figures.get(c)) for c in columns), verdict])
        return rows

    def as_text(self) -> str:
        rows = self.cells()
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        shown = [
            "  ".join(
                cell.ljust(w) if n in (0, len(row) - 1) else cell.rjust(w)
                for n, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.title}  (aim: {self.aim})", *shown, ""])

    def as_markdown(self) -> str:
        head, *rows = self.cells()
        body = "\n".join(
            "| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]
        )
        return f"## {self.title}\n\nAim: {self.aim}.\n\n{body}\n"

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "aim": self.aim,
            "lines": [
                {"name": x.name, "figures": x.figures, "within": x.within, **x.raw}
                for x in self.lines
            ],
        }


def _shown(value: Figure | None) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def keep(folder: Path, name: str, about: Mapping[str, Any], tables: Sequence[Table]) -> list[Path]:
    """`NAME.json` with every round, `NAME.md` for reading."""
    folder.mkdir(parents=True, exist_ok=True)
    full = {**about, "tables": [table.as_json() for table in tables]}
    page = [f"# Benchmarks, {name}", ""]
    page += [f"- {key}: {value}" for key, value in about.items() if not isinstance(value, Mapping)]
    page.append("- libraries: " + ", ".join(f"{k} {v}" for k, v in about["libraries"].items()))
    page += ["", NOTE, ""]
    page += [table.as_markdown() for table in tables]
    made = [folder / f"{name}.json", folder / f"{name}.md"]
    made[0].write_text(json.dumps(full, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made[1].write_text("\n".join(page), encoding="utf-8")
    return made

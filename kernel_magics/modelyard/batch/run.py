"""One scoring from the first row to the last, with what an earlier run left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.batch.chunks import Answers, Chunk, Scorer
from modelyard.batch.ledger import Ledger
from modelyard.batch.output import Output
from modelyard.batch.pipeline import in_order
from modelyard.batch.scoring import Scoring
from modelyard.batch.sources import Source
from modelyard.errors import InterruptedRunError, ModelyardError
from modelyard.progress import Tracker, track


def scored(scorer: Scorer, source: Source, kept: list[str], out: Path | None, restart: bool) -> Scoring:
    """Answer all rows, and put them with the columns that are kept into `out`, or into a frame."""
    started = time.perf_counter()
    schema = pa.schema([*(source.schema.field(name) for name in kept), *scorer.layout.schema])
    wanted = list(dict.fromkeys([*scorer.contract.names, *kept]))
    plan = {"input": source.identity, "model": scorer.identity, "columns kept": kept}
    ledger = None if out is None else Ledger(out, plan, restart)
    done = ledger.rows if ledger else 0
    tally = _Tally()
    try:
        with (
            closing(Output(kept, schema, ledger.unfinished if ledger else None)) as output,
            track(f"scoring {source.what}", source.total, "row") as tracker,
        ):
            _run(scorer, source.chunks(wanted, scorer.rows), ledger, output, tally, tracker)
            output.finish()
            frame = output.frame() if out is None else None
        if ledger is not None and out is not None:
            ledger.save()
            ledger.publish(out)
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(_stopped(ledger, source)) from stop
    except ModelyardError as error:
        if ledger is None:
            raise
        raise type(error)(f"{error}; {_stopped(ledger, source)}") from None
    finally:
        if ledger is not None and not ledger.is_published:
            ledger.leave()
    flagged = dict(sorted((ledger.flagged if ledger else tally.flagged).items()))
    refused = ledger.refused if ledger else tally.refused
    return Scoring(
        scorer.what,
        source.what,
        tally.rows,
        refused,
        flagged,
        time.perf_counter() - started,
        done,
        out,
        frame,
    )


@dataclass
class _Tally:
    """What came by so far."""

    rows: int = 0
    refused: int = 0
    flagged: Counter[str] = field(default_factory=Counter)

    def add(self, answers: Answers) -> None:
        self.rows += answers.batch.num_rows
        self.refused += answers.batch.num_rows - answers.batch.column("error").null_count
        self.flagged.update(answers.flagged)


def _run(
    scorer: Scorer,
    chunks: Iterator[Chunk],
    ledger: Ledger | None,
    output: Output,
    tally: _Tally,
    tracker: Tracker,
) -> None:
    def answered(item: tuple[Chunk, Any]) -> tuple[Answers, bool]:
        chunk, known = item
        return (scorer(chunk), True) if known is None else (Answers(known, Counter()), False)

    parts = ((chunk, None) for chunk in chunks) if ledger is None else _recalled(chunks, ledger)
    with closing(in_order(answered, parts, scorer.workers)) as results:
        for (chunk, _), (answers, is_new) in results:
            output.write(chunk, answers)
            tally.add(answers)
            if ledger is not None and is_new:
                ledger.keep(answers)
            tracker.advance(chunk.rows)


def _recalled(chunks: Iterator[Chunk], ledger: Ledger) -> Iterator[tuple[Chunk, Any]]:
    """Yield each chunk with the answers that an earlier run kept, or ``None``, cut where they end."""
    known = ledger.rows
    for chunk in chunks:
        while chunk.start < known and chunk.rows:
            found = ledger.recall(chunk.start, chunk.rows)
            assert found is not None  # it has `known` rows
            yield chunk.slice(0, found.num_rows), found
            chunk = chunk.slice(found.num_rows, chunk.rows - found.num_rows)
        if chunk.rows:
            yield chunk, None


def _stopped(ledger: Ledger | None, source: Source) -> str:
    """Save what is answered, and say what is kept and how to go on."""
    if ledger is None:
        return "scoring stopped; nothing was written"
    ledger.save()
    total = "" if source.total is None else f" of {source.total:,}"
    if not ledger.rows:
        return "nothing was answered yet"
    return f"the answers to {ledger.rows:,}{total} rows are kept: the same line, without --restart, goes on from there"

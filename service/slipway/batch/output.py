"""Writes batches into Parquet files of the same rows, each while the next one is scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# A batch for each of the files; what is beyond their number is not written.
Batches = Sequence[pa.RecordBatch]
Write = Callable[[Batches], None]


@contextmanager
def writing(files: Sequence[tuple[Path, str]]) -> Iterator[Write]:
    """What writes; `files` are paths with their compression, the first batches give the columns.

    What fails is raised by the next call, or at the end.
    """
    with ExitStack() as stack:
        behind: Write | None = None

        def write(batches: Batches) -> None:
            nonlocal behind
            if behind is None:
                writers = [
                    stack.enter_context(pq.ParquetWriter(path, batch.schema, compression=kind))
                    for (path, kind), batch in zip(files, batches, strict=False)
                ]
                behind = stack.enter_context(_behind(writers))
            behind(batches)

        yield write


@contextmanager
def _behind(writers: Sequence[pq.ParquetWriter]) -> Iterator[Write]:
    """On a thread of its own, unless pyarrow is to keep to one; no more than one batch waits."""

    def write(batches: Batches) -> None:
        for writer, batch in zip(writers, batches, strict=False):
            writer.write_batch(batch)

    if pa.cpu_count() == 1:
        yield write
        return
    with ThreadPoolExecutor(1, thread_name_prefix="writes") as pool:
        last: list[Future[None]] = []

        def behind(batches: Batches) -> None:
            if last:
                last.pop().result()
            last.append(pool.submit(write, batches))

        yield behind
        last.pop().result()

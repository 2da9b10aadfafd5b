"""AWS Lambda's entry: `lambda_handler(event, context)`, as the course's notes have it.

The model is loaded at the first call and kept; settings are the environment's. Importing this
module does nothing.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.clients.kinesis import KinesisStream, aws_client
from slipway.clients.streams import Record, Stream
from slipway.errors import InvalidConfig, InvalidInput, SlipwayError, Unavailable
from slipway.models.obtain import obtain
from slipway.settings import LambdaSettings, read_settings
from slipway.stream.patience import Patience, Stopped, within
from slipway.stream.processor import BAD_BASE64, Bad, Processor, Scored
from slipway.stream.sink import Letters, letters_to, put_all

# A function that waits is paid for, and Lambda itself tries again: so only a little patience.
PATIENCE_SECONDS = 5.0
APPLICATION = "lambda"


def lambda_handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Score a Kinesis event's records, put the events out, answer with them."""
    return _handler()(event)


class Handler:
    """The handler with all that it needs.

    `output` is None for a test run. With `partial`, records that were not delivered are named in
    the answer, and Lambda tries from the first of them on; without it the call fails as a whole.
    """

    def __init__(
        self,
        processor: Processor,
        output: Stream | None,
        letters: Callable[[Patience], Letters] | None = None,
        *,
        partial: bool = False,
    ) -> None:
        self._processor = processor
        self._output = output
        self._letters = letters
        self._partial = partial

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """`{"predictions": [...], "batchItemFailures": [...]}`."""
        outcomes = [self._outcome(each) for each in _records_of(event)]
        decoded = [each for each in outcomes if not isinstance(each, Bad)]
        done = iter(self._processor.process(decoded))
        finished = [each if isinstance(each, Bad) else next(done) for each in outcomes]
        scored = [each for each in finished if isinstance(each, Scored)]
        bad = [each for each in finished if isinstance(each, Bad)]
        failed = self._deliver(scored, bad)
        if failed and not self._partial:
            raise failed[1]
        answer: dict[str, Any] = {"predictions": [each.event for each in scored]}
        if self._partial:
            answer["batchItemFailures"] = [
                {"itemIdentifier": sequence} for sequence in (failed[0] if failed else ())
            ]
        return answer

    def _outcome(self, each: Mapping[str, Any]) -> Record | Bad:
        record = _record_of(each)
        try:
            data = base64.b64decode(each["kinesis"]["data"], validate=True)
        except (binascii.Error, ValueError, TypeError, KeyError):
            return Bad(record, BAD_BASE64, "the record's data is not base64")
        return Record(record.shard, record.sequence, record.key, data, record.arrived)

    def _deliver(
        self, scored: Sequence[Scored], bad: Sequence[Bad]
    ) -> tuple[list[str], SlipwayError] | None:
        """Put all out; what failed, by sequence number, and why."""
        try:
            with within(PATIENCE_SECONDS) as patience:
                if self._output is not None:
                    put_all(self._output, [each.entry for each in scored], patience)
                if self._letters is not None:
                    self._letters(patience)(bad)
                    return None
        except Stopped as stopped:
            whole = [*(each.record for each in scored), *(each.record for each in bad)]
            return [record.sequence for record in whole], Unavailable(str(stopped))
        if not bad:
            return None
        told = f"{len(bad)} records are bad, the first: {bad[0].reason}, {bad[0].detail}"
        return [each.record.sequence for each in bad], InvalidInput(told)


def handler_of(settings: LambdaSettings) -> Handler:
    """The handler that the settings describe; raises SlipwayError where no model can be loaded."""
    loaded = obtain(settings)
    if loaded is None:
        raise InvalidConfig("no model is named: set MODEL_RUN_ID, MODEL_URI or MODEL_LOCATION")
    processor = Processor(
        loaded.scorer,
        loaded.release,
        settings.stream_name,
        max_bytes=settings.max_record_bytes,
        tries=settings.tries,
    )
    if settings.test_run:
        return Handler(processor, None, None, partial=settings.partial_responses)
    kinesis = aws_client("kinesis", settings.kinesis_endpoint)
    output = KinesisStream(kinesis, settings.output_stream)
    letters = functools.partial(
        letters_to,
        settings.dead_letters,
        kinesis,
        settings.s3_endpoint,
        APPLICATION,
        settings.stream_name,
    )
    return Handler(
        processor,
        output,
        letters if settings.dead_letters else None,
        partial=settings.partial_responses,
    )


@functools.cache
def _handler() -> Handler:
    return handler_of(read_settings(LambdaSettings))


def _records_of(event: Any) -> list[Mapping[str, Any]]:
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not all(
        isinstance(each, Mapping) and isinstance(each.get("kinesis"), Mapping) for each in records
    ):
        raise InvalidInput('the event must be a Kinesis event: {"Records": [{"kinesis": {…}}]}')
    return records


def _record_of(each: Mapping[str, Any]) -> Record:
    """A record without its data. `eventID` is `shardId-000000000000:<sequence number>`."""
    kinesis = each["kinesis"]
    sequence = str(kinesis.get("sequenceNumber") or "")
    shard = str(each.get("eventID") or "").partition(":")[0]
    arrived = kinesis.get("approximateArrivalTimestamp") or 0.0
    return Record(shard, sequence, str(kinesis.get("partitionKey") or "-"), b"", float(arrived))

"""Records in, an outcome for each out. Pure: the same records make the same bytes, always.

A record is `{"ride": {...}, "ride_id": 256}`; members beside these two are the producer's own and
are passed over. A bad record is an outcome and never an error: its neighbours are scored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from slipway.clients.streams import Entry, Record
from slipway.errors import ModelFailed
from slipway.models.release import Release
from slipway.scoring.scorer import Scorer

MAX_DETAIL = 200
# Kinesis' own limit for a partition key, which the ride's id becomes.
MAX_ID = 256
# Words for bad records, as dead letters and metrics have them.
TOO_LARGE, MALFORMED, INVALID, FAILED = "TooLarge", "Malformed", "InvalidInput", "ModelFailed"
BAD_BASE64 = "BadBase64"
REASONS = (BAD_BASE64, TOO_LARGE, MALFORMED, INVALID, FAILED)


@dataclass(frozen=True)
class Bad:
    """A record that cannot be scored: a word from REASONS, and a sentence without its data.

    `tries` is how often it was tried: only a model's failure is worth a second one.
    """

    record: Record
    reason: str
    detail: str
    tries: int = 1


@dataclass(frozen=True)
class Message:
    """A record's content: the row, and the ride's id as the producer wrote it."""

    record: Record
    row: Any
    ride_id: int | str


@dataclass(frozen=True)
class Scored:
    """A record's event; `source` is who scored it: stable, candidate or fallback."""

    record: Record
    event: dict[str, Any]
    ride_id: int | str
    source: str = "stable"

    @property
    def entry(self) -> Entry:
        """The event as a record to put, its partition key the ride's id (R26)."""
        return Entry(str(self.ride_id), msgspec.json.encode(self.event))


Outcome = Scored | Bad


class Processor:
    """Scores records of the stream `stream` with one release."""

    def __init__(
        self,
        scorer: Scorer,
        release: Release,
        stream: str,
        *,
        max_bytes: int = 1 << 16,
        tries: int = 3,
    ) -> None:
        self.release = release
        self._tries = tries
        self._scorer = scorer
        self._stream = stream
        self._max_bytes = max_bytes
        self._answer = scorer.use_case.answer
        if scorer.use_case.name == "rides":
            self._answer = f"ride_{self._answer}"
        self._decoder = msgspec.json.Decoder(_message_type(scorer.use_case.row_type()))

    def process(self, records: Sequence[Record]) -> list[Outcome]:
        """An outcome for each record, in their order."""
        return self.finish([self.decode(record) for record in records])

    def decode(self, record: Record) -> Message | Bad:
        """Read one record."""
        if len(record.data) > self._max_bytes:
            told = f"the record has {len(record.data)} bytes, {self._max_bytes} are allowed"
            return Bad(record, TOO_LARGE, told)
        try:
            told = self._decoder.decode(record.data)
        except msgspec.ValidationError as error:
            return Bad(record, INVALID, _sentence(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Bad(record, MALFORMED, "the record is not JSON in UTF-8")
        if told.ride_id == "" or len(str(told.ride_id)) > MAX_ID:
            return Bad(record, INVALID, f"ride_id must have 1 to {MAX_ID} characters")
        return Message(record, told.ride, told.ride_id)

    def finish(self, decoded: Sequence[Message | Bad]) -> list[Outcome]:
        """Score what was decoded; what is bad stays as it is."""
        messages = [each for each in decoded if isinstance(each, Message)]
        scored = iter(self.score(messages))
        return [
            self.outcome(each, next(scored)) if isinstance(each, Message) else each
            for each in decoded
        ]

    def score(self, messages: Sequence[Message]) -> list[Any]:
        """A prediction for each message, or the ModelFailed that it alone runs into."""
        values: list[Any] = []
        while len(values) < len(messages):
            rows = [message.row for message in messages[len(values) :]]
            try:
                values += self._scorer.score(rows).tolist()
            except ModelFailed as error:
                # The rows before it are sound; where none fails alone, one at a time is the way.
                if error.row:
                    values += self.score(messages[len(values) : len(values) + error.row])
                values.append(self._alone(messages[len(values)].row))
        return values

    def outcome(self, message: Message, value: Any) -> Outcome:
        """The event of a prediction, or a bad record where it is a ModelFailed."""
        if isinstance(value, ModelFailed):
            return Bad(message.record, FAILED, value.message[:MAX_DETAIL], self._tries)
        event = {
            "model": f"{self._answer}_prediction_model",
            "version": self.release.version,
            "prediction": {self._answer: value, "ride_id": message.ride_id},
            "event_id": self._event_id(message.record),
        }
        return Scored(message.record, event, message.ride_id)

    def _alone(self, row: Any) -> Any:
        for left in reversed(range(self._tries)):
            try:
                return self._scorer.score([row]).tolist()[0]
            except ModelFailed as error:
                if not left:
                    return error
        return None

    def _event_id(self, record: Record) -> str:
        """Of the record's place and the release: the same whenever it is scored again."""
        told = "\0".join((self._stream, record.shard, record.sequence, self.release.digest))
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def in_share(ride_id: int | str, weight: int) -> bool:
    """Whether a key is among `weight` of 10,000; one that is stays so as the weight grows."""
    digest = hashlib.blake2b(str(ride_id).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % 10_000 < weight


def _message_type(row_type: Any) -> Any:
    return msgspec.defstruct("Message", [("ride", row_type), ("ride_id", int | str)])


def _sentence(error: msgspec.ValidationError) -> str:
    """msgspec's words; a name that the producer made up is not among them."""
    text = str(error)
    if text.startswith("Object contains unknown field"):
        return "the ride has a field that the model's input does not have"
    return text.replace("`", "")[:MAX_DETAIL]

"""Every error that Slipway raises on purpose, in one tree.

The core knows no transport: a web reply's status is chosen in `web/errors.py`, a process's exit
code in `cli/exits.py`. A message is one sentence for a person, says what to do where there is
something to do, and never quotes a user's data or a secret.

    SlipwayError
     ├─ InvalidConfig            a setting, an argument or a document is wrong
     ├─ InvalidInput             a request or a row is not what the model takes
     │   ├─ Malformed            ... not even the format that it claims to be
     │   ├─ TooLarge             ... bigger than the limit
     │   └─ UnsupportedMedia     ... a media type or encoding that is not read here
     ├─ NoModel                  nothing is loaded (yet)
     ├─ ModelFailed              the model raised
     ├─ ModelOutputInvalid       the model answered something that is no prediction
     ├─ Unresolvable             a model reference leads to no artefact
     │   └─ ArtifactMissing      ... it does, but objects are missing there
     ├─ DigestMismatch           the bytes are not those of the release lock
     ├─ Untrusted                the loading policy refuses the artefact
     │   ├─ VersionMismatch      ... it was made with other library versions
     │   └─ Unsigned             ... it does not say what it takes as input
     ├─ InputDataInvalid         a file to score is missing or not what it should be
     │   └─ InputDataMissing
     ├─ NotInstalled             there is no installation of that name in that place
     ├─ TimedOut                 what was waited for has not happened in time
     ├─ RolloutAborted           a rollout that was waited for was aborted
     ├─ RequestRefused           the controller will not do what was asked for
     ├─ Conflict                 a document was changed by somebody else meanwhile
     ├─ Busy                     more is asked than can be answered in time
     └─ Unavailable              something outside does not answer; trying again may help
         ├─ AccessDenied         ... it answers, and refuses our credentials
         ├─ Throttled            ... it answers, and wants to be asked less often
         └─ IteratorExpired      ... the place in a stream that was asked for has timed out
"""

from __future__ import annotations


class SlipwayError(Exception):
    """Base of all; `reason` is the CamelCase word used in conditions, events and logs."""

    reason = "Failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidConfig(SlipwayError):
    """A setting, an argument or a document is wrong; the message names it."""

    reason = "InvalidConfig"


class InvalidInput(SlipwayError):
    """A request or a row does not fit the model's input; `pointer` is a JSON pointer (RFC 6901)."""

    reason = "InvalidInput"

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class Malformed(InvalidInput):
    """The bytes are not the format that they claim to be."""

    reason = "Malformed"


class TooLarge(InvalidInput):
    """The input is bigger than the limit that the message names."""

    reason = "TooLarge"


class UnsupportedMedia(InvalidInput):
    """The media type, charset or content encoding is not read here."""

    reason = "UnsupportedMedia"


class NoModel(SlipwayError):
    """No release is loaded: the slot is idle."""

    reason = "NoModel"


class Busy(SlipwayError):
    """More is asked than can be answered in time; a later request may be."""

    reason = "Busy"


class ModelFailed(SlipwayError):
    """The model raised while it predicted; `row` is the first failing row where it is known."""

    reason = "ModelFailed"

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


class ModelOutputInvalid(ModelFailed):
    """The model answered, but not with one finite number for each row."""

    reason = "ModelOutputInvalid"


class Unresolvable(SlipwayError):
    """A model reference leads to no artefact."""

    reason = "Unresolvable"


class ArtifactMissing(Unresolvable):
    """The artefact's place is known, but objects are missing there."""


class DigestMismatch(SlipwayError):
    """The bytes found are not the bytes of the release lock; nothing was deserialised."""

    reason = "DigestMismatch"


class Untrusted(SlipwayError):
    """The loading policy refuses the artefact; nothing was deserialised."""

    reason = "Untrusted"


class VersionMismatch(Untrusted):
    """The artefact was made with other library versions than the ones installed."""

    reason = "VersionMismatch"


class Unsigned(Untrusted):
    """The artefact does not say what it takes as input."""

    reason = "Unsigned"


class InputDataInvalid(SlipwayError):
    """A file to score cannot be used; the message says why."""

    reason = "InputDataInvalid"


class InputDataMissing(InputDataInvalid):
    """The file to score is not there."""

    reason = "InputDataMissing"


class NotInstalled(SlipwayError):
    """There is no installation of that name in that namespace or folder."""

    reason = "NotInstalled"


class TimedOut(SlipwayError):
    """What was waited for has not happened in time; it may still happen."""

    reason = "TimedOut"


class RolloutAborted(SlipwayError):
    """A rollout that was waited for was aborted; the message says why."""

    reason = "Aborted"


class RequestRefused(SlipwayError):
    """The controller will not do what was asked for; the message is its sentence."""

    reason = "RequestRefused"


class Conflict(SlipwayError):
    """A document was changed by somebody else since it was read; read it again."""

    reason = "Conflict"


class Unavailable(SlipwayError):
    """A server or store does not answer in time; trying again may help."""

    reason = "Unavailable"


class AccessDenied(Unavailable):
    """A server or store answers and refuses our credentials."""

    reason = "AccessDenied"


class Throttled(Unavailable):
    """A server answers and wants to be asked less often."""

    reason = "Throttled"


class IteratorExpired(Unavailable):
    """A shard iterator has timed out; ask for a new one where the last checkpoint is."""

    reason = "IteratorExpired"

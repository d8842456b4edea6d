"""What a check says: findings with their evidence, and the four outcomes of which none is silent."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from netdiag.spans import Span


class Severity(Enum):
    """How bad it is for the customer."""

    ERROR = "error"  #: traffic that should pass does not, or the state is inconsistent in a way that breaks something
    WARNING = "warning"  #: works now, will break or is exposed
    NOTE = "note"  #: worth knowing

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Confidence(Enum):
    """How sure the check is, apart from how bad it is. `LOW` is hidden unless the user asks for it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Role(Enum):
    """Whether a piece of evidence is the fault itself or was joined to it."""

    PRIMARY = "primary"
    RELATED = "related"


SUBJECT_KINDS = (
    "bundle",
    "host",
    "netns",
    "interface",
    "bridge",
    "container",
    "network",
    "address",
    "route",
    "chain",
    "rule",
    "port",
    "sysctl",
    "packet",
    "journey",
)


@dataclass(frozen=True)
class Subject:
    """An object at fault, by the name that the user knows it by. `kind` is one of `SUBJECT_KINDS`."""

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in SUBJECT_KINDS:
            raise ValueError(f"no subject kind {self.kind!r}")


@dataclass(frozen=True)
class Evidence:
    """The characters that prove a claim, and a few words on what they show."""

    span: Span
    label: str
    role: Role = Role.PRIMARY


@dataclass(frozen=True)
class Finding:
    """Something wrong with the host, proven by at least one primary piece of evidence.

    `message` is one sentence without a full stop that stands alone; `why` says what follows from it; `remedy` and
    `verify` are commands that can be pasted on the customer's host.
    """

    check: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    subjects: tuple[Subject, ...]
    evidence: tuple[Evidence, ...]
    why: str
    remedy: tuple[str, ...]
    verify: tuple[str, ...]

    def __post_init__(self) -> None:
        if not any(item.role is Role.PRIMARY for item in self.evidence):
            raise ValueError(f"{self.check}: a finding needs primary evidence")

    @property
    def fingerprint(self) -> str:
        """The same for the same fault of an object in another bundle: made of check and subjects, not of lines."""
        parts = [self.check, *(f"{subject.kind}={subject.name}" for subject in self.subjects)]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Verdict(Enum):
    """What became of a check."""

    FINDING = "finding"
    CLEAN = "clean"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Outcome:
    """What became of one check on one bundle.

    `reason` says why nothing (or not everything) was judged; `missing` names the artifacts that would have told, `ask`
    the commands to ask the customer for.
    """

    check: str
    verdict: Verdict
    reason: str = ""
    missing: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()

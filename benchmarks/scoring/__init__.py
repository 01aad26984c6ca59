"""How good a replay is, against a world whose truth is known; the definitions are in docs/detection-measures.md."""

from benchmarks.scoring.total import score_replay

__all__ = ["score_replay"]

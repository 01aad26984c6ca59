"""Worlds by name: ``python -m data.worlds --scenario nested --seed 3 --out DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.recipe import Recipe
from data.scenarios import SCENARIOS, recipe_of
from data.world import World, make_world

__all__ = ["SCENARIOS", "Recipe", "World", "make_world", "recipe_of"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one world and say what is in it."""
    options = _parser().parse_args(arguments)
    recipe = recipe_of(options.scenario, seed=options.seed, subscribers=options.subscribers, days=options.days)
    world = make_world(options.out, recipe, seed=options.seed)
    sizes = f"{world.subscribers:,} subscribers, {world.sessions:,} sessions, {world.events:,} events"
    troubles = f"{len(recipe.faults)} faults, {len(recipe.look_alikes)} look-alikes"
    sys.stdout.write(f"{world.name}: {sizes}, {troubles}, in {world.path}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.worlds", description="Make a world from a named scenario.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the world to")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="everyday", help="what goes wrong")
    parser.add_argument("--seed", type=int, default=1, help="picks the market, the faults and the luck")
    parser.add_argument("--subscribers", type=int, help="how many people there are (3000)")
    parser.add_argument("--days", type=int, help="length in days, the first 7 without faults (9)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

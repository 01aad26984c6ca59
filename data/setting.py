"""A world before anybody presses play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.exposure import Strike, strikes_of
from data.population import Population, populate
from data.recipe import Recipe
from data.vocabulary import Vocabulary, vocabulary_of


@dataclass(frozen=True)
class Setting:
    """The recipe, the words of its dimensions, its people, and what is going to hit them."""

    recipe: Recipe
    vocabulary: Vocabulary
    people: Population
    strikes: Sequence[Strike]


def setting_of(recipe: Recipe, rng: np.random.Generator) -> Setting:
    """Draw a world's people and whom its faults hit."""
    vocabulary = vocabulary_of(recipe)
    people = populate(recipe, vocabulary, rng)
    return Setting(recipe, vocabulary, people, strikes_of(recipe, people, vocabulary, rng))

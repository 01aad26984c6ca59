"""What a support lead does on their first day, as clicks in a browser: for the benchmark and the tests alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from playwright.sync_api import Locator, Page


@dataclass
class Hand:
    """A hand on the mouse, which counts.

    Parameters
    ----------
    page
        What it clicks on.
    clicks
        How often it has clicked by now; a key that sends a form counts too.
    """

    page: Page
    clicks: int = 0

    def click(self, what: Locator) -> None:
        """Click once, and wait for what comes."""
        self.clicks += 1
        what.click()
        self.page.wait_for_load_state()

    def type_into(self, what: Locator, words: str) -> None:
        """Type: not a click, but going there is."""
        self.clicks += 1
        what.fill(words)

    def enter(self) -> None:
        """Send what was typed."""
        self.clicks += 1
        self.page.keyboard.press("Enter")
        self.page.wait_for_load_state()


@dataclass(frozen=True)
class World:
    """What the tasks are about.

    Parameters
    ----------
    biggest
        The title of the incident that reaches most people.
    untold, reason
        Somebody who was not told, and why, in the console's words.
    """

    biggest: str
    untold: str
    reason: str


Task = Callable[[Hand, World], None]


def find_the_biggest(hand: Hand, world: World) -> None:
    """Find the biggest incident."""
    people = hand.page.locator("#live tbody tr").first
    hand.click(people.get_by_role("link").first)
    hand.page.get_by_role("heading", level=1, name=world.biggest).wait_for()


def see_whom_we_told(hand: Hand, world: World) -> None:
    """See whom we told of it."""
    find_the_biggest(hand, world)
    hand.click(hand.page.get_by_role("link", name="told: ").first)
    hand.page.get_by_role("region", name="People").locator("tbody tr").first.wait_for()


def find_why_somebody_was_not_told(hand: Hand, world: World) -> None:
    """Find why a given subscriber was not told."""
    hand.type_into(hand.page.get_by_role("searchbox"), world.untold)
    hand.enter()
    hand.page.get_by_text(f"Not told: {world.reason}").first.wait_for()


def approve_what_waits(hand: Hand, _world: World) -> None:
    """Approve a waiting notice."""
    hand.click(hand.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Approvals"))
    hand.click(hand.page.locator("tbody").get_by_role("link").first)
    hand.click(hand.page.get_by_role("button", name="Approve"))
    hand.page.get_by_role("status").filter(has_text="Approved").wait_for()


def mark_a_false_alarm(hand: Hand, world: World) -> None:
    """Mark a false alarm."""
    find_the_biggest(hand, world)
    hand.click(hand.page.get_by_text("False alarm", exact=True))
    hand.click(hand.page.get_by_role("button", name="Save review"))
    hand.page.get_by_role("status").filter(has_text="Your review was saved.").wait_for()


TASKS: Mapping[str, Task] = {
    "find the biggest incident": find_the_biggest,
    "see whom we told": see_whom_we_told,
    "why somebody was not told": find_why_somebody_was_not_told,
    "approve a waiting notice": approve_what_waits,
    "mark a false alarm": mark_a_false_alarm,
}
MOST_CLICKS = 4


def clicks_of(page: Page, overview: str, world: World) -> dict[str, int]:
    """Do every task, each from the overview, and return how many clicks it took."""
    counts = {}
    for name, task in TASKS.items():
        page.goto(overview)
        hand = Hand(page)
        task(hand, world)
        counts[name] = hand.clicks
    return counts

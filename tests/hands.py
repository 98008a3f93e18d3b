"""A person at the keyboard and the mouse, who counts what it took them."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator, Page


@dataclass
class Hands:
    """Does what a person does and counts it: each click, each key pressed."""

    page: Page
    clicks: int = 0
    keys: int = 0

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.keys += len(keys)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.keys += len(text)

    def paste(self, text: str) -> None:
        """One keystroke, however much it brings."""
        self.page.keyboard.insert_text(text)
        self.keys += 1

    def choose(self, label: str, option: str) -> None:
        """Open a menu and pick from it."""
        self.page.get_by_label(label, exact=True).select_option(label=option)
        self.clicks += 2

    def report(self, workflow: str) -> str:
        return f"{workflow}: {self.clicks} clicks, {self.keys} keystrokes"

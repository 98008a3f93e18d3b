"use strict";

// Cards are dragged, or moved by Shift+← and Shift+→, or by the menu behind "Move" and the key m. The server answers a
// move with the board as it is then, so what somebody else did meanwhile shows as well.
document.addEventListener("DOMContentLoaded", () => {
    const board = document.querySelector("[data-board]");
    const said = document.querySelector("[data-board-said]");
    const dialog = document.querySelector("[data-board-dialog]");
    const mayMove = board.hasAttribute("data-may-move");
    const columns = () => [...board.querySelectorAll("[data-stage]")];
    const cardsOf = (column) => [...column.querySelectorAll("[data-card]")];
    const stageOf = (card) => card.closest("[data-stage]").dataset.stage;
    let chosen = null; // the card that the menu is about
    let busy = false;

    function tell(level, html) {
        said.className = `board-said board-${level}`;
        said.innerHTML = html; // escaped by the server, or a sentence of this file
    }

    function enter(pk, stage) {
        const card = board.querySelector(`[data-card="${pk}"]`);
        const column = columns().find((one) => one.dataset.stage === stage);
        (card?.querySelector("a") ?? column?.querySelector("h2"))?.focus();
    }

    async function send(pk, from, to, reason) {
        const body = new FormData();
        const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
        Object.entries({ card: pk, from, to, reason }).forEach(([name, value]) => body.append(name, value));
        const answer = await fetch(location.href, { method: "POST", body, headers: { "X-CSRFToken": token } });
        if (!answer.headers.get("Content-Type")?.includes("json")) throw new Error(String(answer.status));
        return answer.json();
    }

    async function move(card, to, reason = "") {
        const from = stageOf(card);
        if (busy || from === to) return;
        busy = true;
        card.setAttribute("aria-busy", "true");
        const pk = card.dataset.card;
        try {
            const answer = await send(pk, from, to, reason);
            board.innerHTML = answer.board;
            tell(answer.level, answer.told);
            enter(pk, to);
            if (answer.asks) askReason(board.querySelector(`[data-card="${pk}"]`), to);
        } catch {
            card.removeAttribute("aria-busy");
            tell("bad", "Nothing was moved: the server did not answer, or you are no longer logged in. Load the page again.");
        } finally {
            busy = false;
        }
    }

    if (!mayMove) return arrows();

    // The menu

    const question = dialog.querySelector("h2");
    const choices = dialog.querySelector("[data-choices]");
    const reasonForm = dialog.querySelector("[data-reason]");
    const reasonInput = reasonForm.querySelector("input");
    let wanted = "";

    function open(card, words, asksReason) {
        chosen = card.dataset.card;
        question.textContent = words;
        choices.hidden = asksReason;
        reasonForm.hidden = !asksReason;
        choices.querySelectorAll("button").forEach((button) => { button.disabled = button.value === stageOf(card); });
        dialog.showModal();
        (asksReason ? reasonInput : choices.querySelector("button:not([disabled])")).focus();
    }

    const nameOf = (card) => card.querySelector("a").textContent.trim();
    const ask = (card) => open(card, `Move ${nameOf(card)} to`, false);

    function askReason(card, to) {
        if (!card) return;
        wanted = to;
        reasonInput.value = "";
        open(card, `${nameOf(card)} has no dates`, true);
    }

    choices.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        const card = board.querySelector(`[data-card="${chosen}"]`);
        if (!button || !card) return;
        dialog.close();
        move(card, button.value);
    });
    choices.addEventListener("keydown", (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const buttons = [...choices.querySelectorAll("button:not([disabled])")];
        const at = buttons.indexOf(document.activeElement) + step;
        buttons[(at + buttons.length) % buttons.length].focus();
    });
    reasonForm.addEventListener("submit", (event) => {
        event.preventDefault();
        const card = board.querySelector(`[data-card="${chosen}"]`);
        dialog.close();
        if (card) move(card, wanted, reasonInput.value);
    });
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => board.querySelector(`[data-card="${chosen}"] a`)?.focus());
    board.addEventListener("click", (event) => {
        const button = event.target.closest("[data-move]");
        if (button) ask(button.closest("[data-card]"));
    });

    // The keys

    function arrows() {
        board.addEventListener("keydown", (event) => {
            const card = event.target.closest("[data-card]");
            if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
            if (event.key === "m" && mayMove) {
                event.preventDefault();
                ask(card);
                return;
            }
            const side = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
            const down = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
            if (!side && !down) return;
            event.preventDefault();
            if (event.shiftKey && side && mayMove) shift(card, side);
            else if (down) cardsOf(card.closest("[data-stage]"))[place(card) + down]?.querySelector("a").focus();
            else if (!event.shiftKey) beside(card, side);
        });
    }

    function place(card) {
        return cardsOf(card.closest("[data-stage]")).indexOf(card);
    }

    function beside(card, side) {
        const all = columns();
        for (let at = all.indexOf(card.closest("[data-stage]")) + side; all[at]; at += side) {
            const cards = cardsOf(all[at]);
            if (!cards.length) continue;
            cards[Math.min(place(card), cards.length - 1)].querySelector("a").focus();
            return;
        }
    }

    function shift(card, side) {
        const all = columns();
        const next = all[all.indexOf(card.closest("[data-stage]")) + side];
        if (next?.hasAttribute("data-takes")) move(card, next.dataset.stage);
    }

    arrows();

    // The mouse

    let dragged = null;
    const over = (column) => columns().forEach((one) => one.classList.toggle("board-over", one === column));
    board.addEventListener("dragstart", (event) => {
        dragged = event.target.closest?.("[data-card]");
        if (!dragged) return;
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", dragged.dataset.card);
    });
    board.addEventListener("dragend", () => { dragged = null; over(null); });
    board.addEventListener("dragover", (event) => {
        const column = event.target.closest("[data-takes]");
        if (!dragged || !column) return over(null);
        event.preventDefault();
        over(column);
    });
    board.addEventListener("drop", (event) => {
        const column = event.target.closest("[data-takes]");
        if (!dragged || !column) return;
        event.preventDefault();
        const card = dragged;
        over(null);
        move(card, column.dataset.stage);
    });
});

"use strict";

// Enrolling: letters are looked up while one types, the first person found is chosen, Enter enrols.
document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("[data-enrol]");
    if (!form) return;
    const input = form.querySelector("#enrol-name");
    const list = form.querySelector("#enrol-list");
    const said = form.querySelector("[data-enrol-said]");
    let people = [], chosen = 0, asked = 0, waits = null, known = "";

    function show() {
        list.replaceChildren(...people.map((person, index) => {
            const line = document.createElement("li");
            line.id = `enrol-${index}`;
            line.setAttribute("role", "option");
            line.setAttribute("aria-selected", String(index === chosen));
            const name = document.createElement("strong");
            name.textContent = person.label;
            const hint = document.createElement("span");
            hint.textContent = person.hint;
            line.append(name, " ", hint);
            line.addEventListener("mousedown", (event) => { event.preventDefault(); take(person); });
            return line;
        }));
        list.hidden = people.length === 0;
        input.setAttribute("aria-expanded", String(people.length > 0));
        if (people.length) input.setAttribute("aria-activedescendant", `enrol-${chosen}`);
        else input.removeAttribute("aria-activedescendant");
    }

    function take(person) {
        if (person.url) { window.location.assign(person.url); return; }
        form.elements.contact.value = person.contact;
        form.elements.like.value = person.like ?? "";
        form.submit();
    }

    async function look() {
        const term = input.value.trim(), turn = ++asked;
        if (term.length < 2) { people = []; known = term; said.textContent = ""; show(); return; }
        const answer = await fetch(`${form.dataset.enrol}?q=${encodeURIComponent(term)}`, { credentials: "same-origin" });
        if (turn !== asked) return; // an older answer
        if (!answer.ok) { said.textContent = "The search did not answer. Reload the page and try again."; return; }
        people = (await answer.json()).people;
        chosen = 0;
        known = term;
        said.textContent = "";
        if (!people.length) {
            const [first, ...rest] = term.split(/\s+/);
            const link = document.createElement("a");
            const name = new URLSearchParams({ legal_first_name: first, legal_last_name: rest.join(" ") });
            link.href = `${form.dataset.new}&${name}`;
            link.className = "text-link";
            link.textContent = `Add “${term}” as a new passenger`;
            said.replaceChildren("Nobody of this name. ", link);
        }
        show();
    }

    input.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(look, 120); });
    input.addEventListener("keydown", async (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            chosen = Math.max(0, Math.min(people.length - 1, chosen + (event.key === "ArrowDown" ? 1 : -1)));
            show();
        } else if (event.key === "Escape") {
            people = [];
            show();
        } else if (event.key === "Enter") {
            event.preventDefault();
            clearTimeout(waits);
            if (known !== input.value.trim()) await look(); // typed faster than it was looked up
            if (people[chosen]) take(people[chosen]);
            else form.querySelector("[data-enrol-said] a")?.click();
        }
    });
});

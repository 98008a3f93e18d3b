// Keeps what a page says of the sync current: every 2 s while something is under way, every 15 s at rest, never
// while the page is hidden. Only a part whose text differs is replaced, so that screen readers hear changes alone.
(() => {
  const MOVING = 2000;
  const RESTING = 15000;

  function watch(source) {
    const shown = new Map();
    let timer;

    function same(part, html) {
      const twin = document.createElement("template");
      twin.innerHTML = html;
      return twin.innerHTML === part.innerHTML;
    }

    function show(parts) {
      for (const [name, html] of Object.entries(parts)) {
        if (shown.get(name) === html) continue;
        shown.set(name, html);
        for (const part of document.querySelectorAll(`[data-sync-part="${name}"]`)) {
          if (!same(part, html)) part.innerHTML = html;
        }
      }
    }

    function later(wait) {
      clearTimeout(timer);
      timer = setTimeout(look, wait);
    }

    async function look() {
      if (document.hidden) return; // coming back into view looks at once
      let wait = RESTING;
      try {
        const answer = await fetch(source.dataset.syncUrl, { redirect: "manual", headers: { "X-Background": "1" } });
        // Logged out (a redirect), not allowed any more, or deleted: asking again would not help.
        if (answer.type === "opaqueredirect" || answer.status === 403 || answer.status === 404) return;
        if (answer.ok) {
          const state = await answer.json();
          show(state.parts);
          wait = state.resting ? RESTING : MOVING;
        }
      } catch {
        // the network is away, or what came is no answer of ours; try again at the slow pace
      }
      later(wait);
    }

    document.addEventListener("visibilitychange", () => document.hidden || later(0));
    later(source.dataset.syncResting === "yes" ? RESTING : MOVING);
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-sync-url]").forEach(watch));
})();

// Copies what a button offers, and says so.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return;
  }
  button.dataset.done = "";
  setTimeout(() => delete button.dataset.done, 2000);
});

// A part that changes by itself is fetched again while its page is looked at, until it is final.
const EVERY_MS = 2000;
for (const part of document.querySelectorAll("[data-refresh]")) refresh(part);

function refresh(part) {
  setTimeout(async () => {
    if (document.visibilityState === "visible" && !part.contains(document.activeElement)) {
      try {
        const answer = await fetch(part.dataset.refresh, { redirect: "error" });
        if (answer.ok) {
          const html = await answer.text();
          if (part.innerHTML !== html) part.innerHTML = html;
          if (answer.headers.has("x-final")) return;
        }
      } catch {
        // The server is away: what is shown stays, and the next try may find it again.
      }
    }
    refresh(part);
  }, EVERY_MS);
}

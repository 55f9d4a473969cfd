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

// Countdowns (`data-until`) go on by themselves, in the server's words.
setInterval(() => {
  for (const part of document.querySelectorAll("[data-until]")) {
    const words = left(Math.floor((Date.parse(part.dataset.until) - Date.now()) / 1000));
    if (part.textContent !== words) part.textContent = words;
  }
}, 1000);

function left(seconds) {
  if (seconds <= 0) return "over";
  const two = (number) => String(number).padStart(2, "0");
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  if (days) return `in ${days} d ${two(hours % 24)} h`;
  if (hours) return `in ${hours} h ${two(minutes % 60)} min`;
  if (minutes) return `in ${minutes} min ${two(seconds % 60)} s`;
  return `in ${seconds} s`;
}

// Parts that change by themselves (`data-refresh`, with an id) are read again from the page's own address
// while it is looked at, until the server no longer marks them.
const EVERY_MS = 2000;
if (document.querySelector("[data-refresh]")) setTimeout(refresh, EVERY_MS);

async function refresh() {
  try {
    if (document.visibilityState === "visible") {
      const answer = await fetch(location.href, { redirect: "error" });
      if (answer.ok) renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch {
    // The server is away: what is shown stays, and the next try may find it again.
  }
  if (document.querySelector("[data-refresh]")) return setTimeout(refresh, EVERY_MS);
  for (const note of document.querySelectorAll("[data-ended]")) note.hidden = false;
}

// Whoever is about to answer is told when what they would answer about has changed; what they write stays.
const ANSWER_EVERY_MS = 10000;
const evidence = document.getElementById("p-evidence");
if (evidence) setTimeout(compare, ANSWER_EVERY_MS);

async function compare() {
  try {
    const answer = await fetch(location.pathname, { redirect: "error" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.getElementById("p-evidence");
      if (!now || now.value !== evidence.value) {
        document.querySelector("[data-changed]").hidden = false;
        return;
      }
    }
  } catch {
    // The server is away: the next try may find it again.
  }
  setTimeout(compare, ANSWER_EVERY_MS);
}

function renew(page) {
  for (const part of document.querySelectorAll("[data-refresh]")) {
    const now = page.getElementById(part.id);
    if (now) become(part, now);
    else part.removeAttribute("data-refresh");
  }
}

// Only what differs is touched: focus, selection and scrolling stay where they are, and what the reader has
// opened stays open.
function become(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) return old.replaceWith(now.cloneNode(true));
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = now.nodeValue;
    return;
  }
  const isTheirs = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && !isTheirs(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) {
    if (!isTheirs(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [have, want] = [[...old.childNodes], [...now.childNodes]];
  want.forEach((node, at) => (have[at] ? become(have[at], node) : old.append(node.cloneNode(true))));
  have.slice(want.length).forEach((node) => node.remove());
}

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

// Countdowns (`data-until`) and relative times go on by themselves, in the server's words and by its clock:
// the page says what that showed when it was made.
const ahead = Date.now() - Date.parse(document.documentElement.dataset.now);
const AGES_EVERY = 10;
let ticks = 0;
setInterval(() => {
  const now = Date.now() - ahead;
  for (const part of document.querySelectorAll("[data-until]")) {
    say(part, left(Math.floor((Date.parse(part.dataset.until) - now) / 1000)));
  }
  // Nobody reads a page by the second: what is ten seconds old may say so a little later.
  ticks = (ticks + 1) % AGES_EVERY;
  if (ticks) return;
  for (const part of document.querySelectorAll("time[title]")) say(part, relative(Date.parse(part.dateTime), now));
}, 1000);

function say(part, words) {
  if (part.textContent !== words) part.textContent = words;
}

function relative(at, now) {
  const seconds = Math.floor(Math.abs(now - at) / 1000);
  if (!seconds) return "now";
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit));
  const long = days > 1 ? `${days} days` : days ? "1 day" : hours ? `${hours} h` : minutes ? `${minutes} min` : `${seconds} s`;
  return at > now ? `in ${long}` : `${long} ago`;
}

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

// A form that answers what the page shows (`data-watch`) is never replaced: somebody types in it. When the
// server would show another one, or none, the part that `data-changed` names says so.
const WATCH_EVERY_MS = 10000;
setInterval(watch, WATCH_EVERY_MS);

async function watch() {
  const form = document.querySelector("[data-watch]");
  const note = form && document.getElementById(form.dataset.changed);
  if (!note || !note.hidden || document.visibilityState !== "visible") return;
  try {
    const answer = await fetch(location.href, { redirect: "error" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    note.hidden = page.querySelector("[data-watch]")?.dataset.watch === form.dataset.watch;
  } catch {
    // The server is away: the next try may find it again.
  }
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

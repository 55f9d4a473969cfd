// Follows a step's log while its page is open, and opens the part of a log that has the linked line.

// More lines than this are not kept in the page: the oldest go, and the page says so.
const LINES_MAX = 5000;
// Pauses before each further try to connect; the last one repeats.
const PAUSES_MS = [250, 1000, 2000, 5000, 10000, 30000];

const linked = /^#L(\d+)$/.exec(location.hash);
const live = document.querySelector(".log[data-events]");
const ended = document.querySelector(".log[data-end]");
// What a log ends with is what one opens it for.
const toEnd = !location.hash || location.hash === "#log-end";
if (linked && !document.getElementById("L" + linked[1])) openPartWith(linked[1]);
else if (live) follow(live);
else if (ended && toEnd) ended.scrollTop = ended.scrollHeight;

function openPartWith(line) {
  const url = new URL(location.href);
  if (url.searchParams.get("line") === line) return;
  url.searchParams.delete("before");
  url.searchParams.set("line", line);
  location.replace(url);
}

function follow(log) {
  const part = (name) => log.querySelector("[data-" + name + "]");
  const [lost, last, said, cut, button, pill] = ["lost", "last", "said", "cut", "follow", "live"].map(part);
  const tail = log.querySelector(".tail");
  const shown = log.getElementsByTagName("li");
  let at = log.dataset.at;
  let tries = 0;
  let over = false;
  let following = toEnd;
  let waiting = [];
  let list = [...log.querySelectorAll("ol")].pop();

  const isAtEnd = () => log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  const label = () => {
    button.textContent = following ? "Stop following" : "Follow";
    if (waiting.length) last.textContent = waiting.length + " new";
  };
  button.addEventListener("click", () => setFollowing(!following));
  log.addEventListener("scroll", () => { if (isAtEnd() !== following) setFollowing(isAtEnd()); });
  setFollowing(following);
  connect();

  function setFollowing(now) {
    following = now;
    if (following) {
      append(waiting);
      waiting = [];
      log.scrollTop = log.scrollHeight;
    }
    label();
  }

  // By hand: a browser gives up for good when the server answers with an error, as one that restarts does.
  function connect() {
    const source = new EventSource(log.dataset.events + "?from=" + encodeURIComponent(at));
    const hear = (kind, act) => source.addEventListener(kind, (event) => {
      tries = 0;
      lost.hidden = true;
      at = event.lastEventId || at;
      act(JSON.parse(event.data));
      if (over) source.close();
    });
    hear("message", (data) => take(data.items));
    hear("attempt", begin);
    hear("state", tell);
    source.onerror = () => {
      source.close();
      const pause = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)];
      tries += 1;
      if (tries > 1) lost.hidden = false;
      setTimeout(connect, pause);
    };
  }

  function take(items) {
    if (following) {
      append(items);
      log.scrollTop = log.scrollHeight;
    } else {
      waiting = waiting.concat(items).slice(-LINES_MAX);
      label();
    }
  }

  function append(items) {
    if (items.length > LINES_MAX) cut.hidden = false;
    for (const item of items.slice(-LINES_MAX)) {
      if (item.line) {
        if (!list) open("");
        list.append(lineOf(item.line));
        last.textContent = "line " + item.line.number.toLocaleString("en-US");
      } else {
        open(item.section);
      }
    }
    while (shown.length > LINES_MAX) {
      const oldest = shown[0].parentElement;
      shown[0].remove();
      if (!oldest.childElementCount && oldest !== list) (oldest.closest("details") || oldest).remove();
      cut.hidden = false;
    }
  }

  function open(title) {
    list = document.createElement("ol");
    if (!title) return tail.before(list);
    const section = document.createElement("details");
    const summary = document.createElement("summary");
    const words = document.createElement("span");
    section.open = true;
    words.className = "wrap";
    words.textContent = title;
    summary.append(words, document.createElement("span"));
    section.append(summary, list);
    tail.before(section);
  }

  // The lines of the attempt before are at their own address: numbers begin anew.
  function begin(attempt) {
    for (const old of log.querySelectorAll("details, ol, p.cut:not([data-cut])")) old.remove();
    waiting = [];
    list = undefined;
    const note = document.createElement("p");
    const link = document.createElement("a");
    note.className = "cut";
    link.className = "u";
    link.href = log.dataset.path + "?attempt=" + (attempt.number - 1);
    link.textContent = "Its log is here.";
    note.append("Attempt " + (attempt.number - 1) + " ended: " + (attempt.why || "no cause is known") + ". ", link);
    tail.before(note);
  }

  function tell(state) {
    const badge = document.querySelector("[data-state] > .badge");
    const use = badge.querySelector("use");
    badge.className = "badge is-" + state.class;
    badge.querySelector("svg").classList.toggle("spin", state.class === "work");
    const icon = use.getAttribute("href").replace(/#.*/, "#" + state.shape);
    if (use.getAttribute("href") !== icon) use.setAttribute("href", icon);
    badge.lastChild.textContent = state.word;
    said.textContent = state.detail;
    if (!state.over) return;
    over = true;
    pill.className = "b";
    pill.textContent = "Ended: " + state.word;
    if (!waiting.length) button.hidden = true;
  }
}

function lineOf(line) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const words = document.createElement("span");
  item.id = "L" + line.number;
  link.href = "#L" + line.number;
  link.textContent = line.number;
  for (const span of line.spans) {
    if (!span.class) {
      words.append(span.text);
      continue;
    }
    const look = document.createElement("span");
    look.className = span.class;
    look.textContent = span.text;
    words.append(look);
  }
  item.append(link, words);
  return item;
}

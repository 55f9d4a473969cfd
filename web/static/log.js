// Appends what a step prints while its page is open. After a cut the browser says where it was.
const log = document.querySelector("[data-events]");
if (log) {
  const list = log.querySelector(".more");
  let line = Number(log.dataset.line);
  const source = new EventSource(log.dataset.events);
  source.onmessage = (event) => {
    const follow = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    for (const text of event.data.split("\n")) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      const words = document.createElement("span");
      item.id = "L" + line;
      link.href = "#L" + line;
      link.textContent = line++;
      words.textContent = text;
      item.append(link, words);
      list.append(item);
    }
    if (follow) log.scrollTop = log.scrollHeight;
  };
  source.addEventListener("over", () => { source.close(); location.reload(); });
}

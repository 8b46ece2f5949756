// What others typed on this computer and what never reached the server: said to whoever signs in after them, who may
// read it and enter it.
const bar = document.getElementById("left-drafts");
const summary = bar.querySelector("summary .word");
const list = bar.querySelector("ul");
const mine = document.body.dataset.account;

function left() {
  const drafts = [];
  for (const key of Object.keys(localStorage)) {
    const [, account, entry] = key.match(/^draft:(.+):([^:]+):[^:]+$/) ?? [];
    if (account && account !== mine) drafts.push({ key, entry, ...read(key, account) });
  }
  return drafts;
}

/** Who typed it, by name where the page knew it, and what. */
function read(key, account) {
  try {
    const { officer = account, value = "" } = JSON.parse(localStorage.getItem(key));
    return { who: String(officer), words: String(value) };
  } catch {
    return { who: account, words: "" };
  }
}

function show() {
  const drafts = left();
  bar.hidden = drafts.length === 0;
  summary.textContent = bar.dataset.text.replace("{}", () => [...new Set(drafts.map((draft) => draft.who))].join(bar.dataset.comma));
  list.replaceChildren(...drafts.map(line));
}

function line({ key, entry, who, words }) {
  const one = document.getElementById("left-draft").content.firstElementChild.cloneNode(true);
  const link = one.querySelector("a");
  link.href = `/?entry=${entry}`;
  link.dataset.open = entry;
  one.querySelector("b").textContent = who;
  one.querySelector(".words").textContent = words;
  one.querySelector("button").onclick = () => {
    localStorage.removeItem(key);
    show();
  };
  return one;
}

show();

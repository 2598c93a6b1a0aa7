"use strict";
// Without this script the atlas is one long page on which every link works. The script shows one page at a time, searches, zooms,
// and shows the picture of a unit that a link leads to.
(() => {
  const root = document.documentElement;
  const pages = new Map([...document.querySelectorAll(".page")].map((page) => [page.id, page]));
  const first = pages.keys().next().value;
  const byId = (id) => document.getElementById(id);
  const title = document.title;

  // ---- pages: the part of the address behind # names the one that is shown, or something on it
  function target() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an address of ours */ }
    return byId(id)?.closest(".page") ? byId(id) : pages.get(first);
  }
  const wanted = () => target().closest(".page").id;
  function show(moved) {
    const id = wanted();
    for (const [name, page] of pages) page.classList.toggle("current", name === id);
    const page = pages.get(id);
    const heading = page.querySelector("h1, h2");
    document.title = `${heading.textContent} · ${title}`;
    for (const link of document.querySelectorAll("body > header nav a")) {
      const here = [id, page.dataset.layer].includes(decodeURIComponent(link.hash.slice(1)));
      if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    hide();
    moveTo();
    const place = target() === page ? heading : target();
    if (moved) place.focus({ preventScroll: true });
  }
  function moveTo() {
    if (pages.has(target().id)) window.scrollTo(0, 0); else target().scrollIntoView();
  }
  for (const page of pages.values()) page.querySelector("h1, h2").tabIndex = -1;
  for (const entry of document.querySelectorAll("#words section")) entry.tabIndex = -1;
  root.classList.add("paged");
  addEventListener("hashchange", () => show(true));
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); pages.get(wanted()).querySelector("h1, h2").focus(); });

  // a copy of a picture beside words that name it; how large it is follows from where it stands
  function decoration(picture) {
    const copy = picture.cloneNode(true);
    copy.removeAttribute("role");
    copy.removeAttribute("aria-label");
    return copy;
  }

  // ---- search: every word must occur in what a page is found by; an exact name comes first
  const box = byId("search"), found = byId("found"), status = byId("status");
  const index = [...pages.values()].map((page) => ({ page, name: page.querySelector("h1, h2").textContent, text: page.querySelector("h1, h2").textContent + " " + [page.dataset.find, page.dataset.about].join(" ") }));
  for (const entry of index) entry.text = entry.text.toLowerCase();
  function search() {
    const query = box.value.trim().toLowerCase(), words = query.split(/\s+/).filter(Boolean);
    found.replaceChildren();
    if (!words.length) { status.textContent = ""; return; }
    const rank = ({ name, text }) => [name.toLowerCase() === query, ` ${text} `.includes(` ${query} `), name.toLowerCase().includes(query)].map((yes) => (yes ? 0 : 1)).join("");
    const hits = index.filter(({ text }) => words.every((word) => text.includes(word))).map((entry) => [rank(entry), entry]);
    hits.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    for (const [, { page, name }] of hits.slice(0, 30)) {
      const item = document.createElement("li"), link = document.createElement("a"), words = document.createElement("span");
      const picture = page.querySelector(".maximised .i");
      if (picture) link.append(decoration(picture));
      words.append(name);
      if (page.dataset.about) { const small = document.createElement("small"); small.append(page.dataset.about); words.append(small); }
      link.href = `#${encodeURIComponent(page.id)}`;
      link.append(words);
      item.append(link);
      found.append(item);
    }
    status.textContent = hits.length === 1 ? "1 page found" : `${hits.length} pages found` + (hits.length > 30 ? ", the first 30 are listed" : "");
    if (!hits.length) { const item = document.createElement("li"); item.textContent = "nothing found"; found.append(item); }
  }
  const close = () => { found.replaceChildren(); status.textContent = ""; };
  box.addEventListener("input", search);
  box.form.addEventListener("submit", (event) => { event.preventDefault(); found.querySelector("a")?.click(); });
  found.addEventListener("click", (event) => { if (event.target.closest("a")) { close(); box.value = ""; } });
  document.addEventListener("click", (event) => { if (!box.form.contains(event.target)) close(); });
  box.form.addEventListener("keydown", (event) => {
    const links = [...found.querySelectorAll("a")], at = links.indexOf(document.activeElement);
    if (event.key === "Escape") { close(); box.focus(); }
    if (!links.length || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const to = event.key === "ArrowDown" ? at + 1 : at - 1;
    (to < 0 ? box : links[Math.min(to, links.length - 1)]).focus();
  });

  // ---- hover: the picture of the unit that a link leads to
  const card = byId("hover");
  function hide() { card.hidden = true; }
  function hover(event) {
    const link = event.target.closest?.("a.unit");
    const page = link && pages.get(decodeURIComponent(link.hash.slice(1)));
    const picture = page?.querySelector(".maximised .i");
    if (!picture) return hide();
    const name = document.createElement("div");
    name.append(page.querySelector("h2").textContent);
    card.replaceChildren(decoration(picture), name);
    card.hidden = false;
    const at = link.getBoundingClientRect(), size = card.getBoundingClientRect();
    const below = at.bottom + 8 + size.height < innerHeight;
    card.style.left = `${Math.max(4, Math.min(at.left, innerWidth - size.width - 4))}px`;
    card.style.top = `${below ? at.bottom + 8 : Math.max(4, at.top - size.height - 8)}px`;
  }
  document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") hover(event); });
  document.addEventListener("focusin", (event) => (event.target.matches?.("a.unit:focus-visible") ? hover(event) : hide()));
  addEventListener("scroll", hide, { passive: true });

  // ---- zoom: a picture as large as the window, whose file can be saved from there
  const dialog = byId("zoom");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.zoom");
    if (!button) return;
    const source = [...button.querySelectorAll("img, .i")].at(-1), image = new Image(); // of a patch and its photograph the second
    image.src = source.matches("img") ? source.src : getComputedStyle(source).backgroundImage.slice(5, -2);
    image.alt = source.alt || source.getAttribute("aria-label");
    image.decode().then(() => {
      const small = image.naturalWidth < 600;
      image.style.width = small ? `min(90vw, 70vh, ${image.naturalWidth * 8}px)` : "auto";
      if (image.naturalWidth < 48) image.style.imageRendering = "pixelated";
    });
    dialog.querySelector("figcaption").textContent = image.alt;
    const stage = dialog.querySelector("figure > div"), frame = button.querySelector(".i i");
    stage.replaceChildren(image);
    stage.style.cssText = frame ? button.style.cssText : "";
    if (frame) stage.append(frame.cloneNode());
    dialog.showModal();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("button")) dialog.close(); });

  // ---- keys: / searches, the arrows go to the neighbours
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, dialog")) return;
    if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); }
    const to = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    if (to && !box.form.contains(event.target)) pages.get(wanted()).querySelector(`a[rel="${to}"]`)?.click();
  });

  show(false);
  addEventListener("load", () => { if (location.hash) moveTo(); }); // the browser has gone to the place that # names
})();

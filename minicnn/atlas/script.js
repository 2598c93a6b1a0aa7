"use strict";
// The script shows one page at a time, searches, zooms, and shows the picture of a unit that a link leads to. The pages either all stand
// in the document, and without this script it is one long page on which every link works; or the document has the first one only, and
// the others lie beside it in parts (writing.py), which are taken out when they are shown.
(async () => {
  const root = document.documentElement, main = document.querySelector("main");
  const first = document.querySelector(".page");
  const byId = (id) => document.getElementById(id);
  const title = document.title;
  const make = (name, ...content) => { const element = document.createElement(name); element.append(...content); return element; };

  // ---- parts: inert text in the document, or files of a folder, each of which calls part(its name, what is in it)
  const folder = document.querySelector('meta[name="minicnn-pages"]')?.content;
  const expected = new Map();
  window.part = (name, content) => expected.get(name)?.(content);
  async function take(name) {
    if (!folder) return JSON.parse(byId(name).textContent);
    const script = make("script");
    script.src = `${folder}/${name}.js`;
    try {
      return await new Promise((resolve, reject) => {
        expected.set(name, resolve);
        script.onerror = script.onload = () => reject(new Error(`${decodeURIComponent(folder)}/${name}.js`)); // it is there, and is no part
        document.head.append(script);
      });
    } finally {
      script.remove();
      expected.delete(name);
    }
  }
  const lost = (error) => make("section", make("h2", "This page could not be read"), make("p", `There is no ${error.message}. The folder goes where this file goes; if the atlas was made anew meanwhile, reload it.`));

  // ---- index: what is known of each page, a line for each
  let index;
  try { index = await take("index"); } catch (error) { main.append(lost(error)); return; }
  const column = (name) => index[name].split("\n");
  const ids = column("id"), names = column("name"), find = column("find"), about = column("about"), pictures = column("picture");
  const order = new Map(ids.map((id, at) => [id, at]));
  function holding(starts, at) { // the number of the part in which something is, by where the parts start
    let low = 0, high = starts.length - 1;
    while (high - low > 1) { const middle = (low + high) >> 1; if (starts[middle] <= at) low = middle; else high = middle; }
    return low;
  }

  // ---- pictures: a part of them is a style sheet, which is there while it is looked at, and a while longer
  const KEPT = 100;
  const sheets = new Map();
  const numbers = (element) => [...element.querySelectorAll(".i")].map((picture) => +picture.className.match(/\bi(\d+)/)[1]);
  async function sheet(number) {
    const style = make("style");
    try { style.append((await take(`styles${number}`)).join("\n")); } catch { /* its frames stay empty */ }
    if (sheets.has(number)) document.head.append(style);
    return style;
  }
  function dress(...numbers) {
    const parts = index.styles ? new Set(numbers.map((number) => holding(index.styles, number))) : [];
    return Promise.all([...parts].map((part) => sheets.get(part) ?? sheets.set(part, sheet(part)).get(part)));
  }
  function undress(page) {
    const worn = new Set(numbers(page).map((number) => holding(index.styles, number)));
    for (const [part, style] of sheets) {
      if (sheets.size <= KEPT) return;
      if (!worn.has(part) && sheets.delete(part)) style.then((sheet) => sheet.remove());
    }
  }
  const near = new IntersectionObserver((entries) => {
    const seen = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    for (const picture of seen) near.unobserve(picture);
    dress(...seen.map((picture) => +picture.className.match(/\bi(\d+)/)[1]));
  }, { rootMargin: "3000px" });
  function decoration(number) { // a picture beside words that name it; how large it is follows from where it stands
    const picture = make("span");
    picture.className = `i i${number}`;
    dress(+number);
    return picture;
  }

  // ---- pages: the part of the address behind # names the one that is shown, or something on it
  let part = {}; // the one that was taken out last
  async function pageOf(id) {
    if (id === first.id) return first;
    if (!index.pages) return byId(id);
    const at = order.get(id), number = holding(index.pages, at);
    if (part.number !== number) part = { number, pages: take(`pages${number}`) };
    const holder = make("template");
    try { holder.innerHTML = (await part.pages)[at - index.pages[number]]; } catch (error) { part = {}; throw error; }
    return holder.content.firstElementChild;
  }
  function wanted() { // the id of a page and that of the place on it
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* not an address of ours */ }
    return order.has(id) ? [id, id] : id.startsWith("word-") ? ["words", id] : [first.id, first.id];
  }
  const current = () => document.querySelector(".page.current");
  const heading = () => current().querySelector("h1, h2");
  let turn = 0;
  async function show(moved) {
    const [id, place] = wanted(), mine = ++turn;
    const page = await pageOf(id).catch(lost);
    if (mine !== turn) return; // another one has been asked for meanwhile
    current()?.classList.remove("current");
    if (!page.isConnected) main.replaceChildren(page);
    page.classList.add("page", "current");
    document.title = `${heading().textContent} · ${title}`;
    for (const link of document.querySelectorAll("body > header nav a")) {
      const here = [id, page.dataset.layer].includes(decodeURIComponent(link.hash.slice(1)));
      if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
      if (here) link.parentElement.scrollTop = link.offsetTop - link.parentElement.offsetTop - link.offsetHeight; // of many layers
    }
    hide();
    if (index.styles) {
      near.disconnect();
      for (const picture of page.querySelectorAll(".i")) near.observe(picture);
      undress(page);
    }
    moveTo();
    const target = (place !== id && byId(place)) || heading();
    target.tabIndex = -1;
    if (moved) target.focus({ preventScroll: true });
  }
  function moveTo() {
    const [id, place] = wanted();
    if (place === id || !byId(place)) window.scrollTo(0, 0); else byId(place).scrollIntoView();
  }
  root.classList.add("paged");
  addEventListener("hashchange", () => show(true));
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); heading().focus(); });
  addEventListener("beforeprint", () => dress(...numbers(current())));

  // ---- search: every word must occur in what a page is found by; an exact name comes first
  const MOST = 30;
  const box = byId("search"), found = byId("found"), status = byId("status");
  let lower, texts; // made when somebody is about to search
  function prepare() {
    lower ??= names.map((name) => name.toLowerCase());
    texts ??= lower.map((name, at) => ` ${name} ${find[at].toLowerCase()} ${about[at].toLowerCase()} `);
  }
  function search() {
    const query = box.value.trim().toLowerCase(), words = query.split(/\s+/).filter(Boolean);
    found.replaceChildren();
    if (!words.length) { status.textContent = ""; return; }
    prepare();
    const whole = ` ${query} `, ranked = Array.from({ length: 8 }, () => []);
    let count = 0;
    texts.forEach((text, at) => {
      if (!words.every((word) => text.includes(word))) return;
      ranked[(lower[at] === query ? 0 : 4) + (text.includes(whole) ? 0 : 2) + (lower[at].includes(query) ? 0 : 1)].push(at);
      count += 1;
    });
    for (const at of ranked.flat().slice(0, MOST)) {
      const link = make("a"), words = make("span", names[at]);
      if (pictures[at]) link.append(decoration(pictures[at]));
      if (about[at]) words.append(make("small", about[at]));
      link.href = `#${encodeURIComponent(ids[at])}`;
      link.append(words);
      found.append(make("li", link));
    }
    status.textContent = count === 1 ? "1 page found" : `${count} pages found` + (count > MOST ? `, the first ${MOST} are listed` : "");
    if (!count) found.append(make("li", "nothing found"));
  }
  const close = () => { found.replaceChildren(); status.textContent = ""; };
  box.addEventListener("focus", prepare);
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
    const at = link && order.get(decodeURIComponent(link.hash.slice(1)));
    if (!pictures[at]) return hide();
    card.replaceChildren(decoration(pictures[at]), make("div", names[at]));
    card.hidden = false;
    const place = link.getBoundingClientRect(), size = card.getBoundingClientRect();
    const below = place.bottom + 8 + size.height < innerHeight;
    card.style.left = `${Math.max(4, Math.min(place.left, innerWidth - size.width - 4))}px`;
    card.style.top = `${below ? place.bottom + 8 : Math.max(4, place.top - size.height - 8)}px`;
  }
  document.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") hover(event); });
  document.addEventListener("focusin", (event) => (event.target.matches?.("a.unit:focus-visible") ? hover(event) : hide()));
  addEventListener("scroll", hide, { passive: true });

  // ---- zoom: a picture as large as the window, whose file can be saved from there
  const dialog = byId("zoom");
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.zoom");
    if (!button) return;
    await dress(...numbers(button));
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

  // ---- keys: / searches, the arrows go to the neighbours; the pictures that are further down are there when a page is printed
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "p" && index.styles) {
      event.preventDefault();
      dress(...numbers(current())).then(() => print());
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, dialog")) return;
    if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); }
    const to = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    if (to && !box.form.contains(event.target)) current().querySelector(`a[rel="${to}"]`)?.click();
  });

  await show(false);
  performance.mark("ready");
  if (box.value) search(); // typed before this was ready
  addEventListener("load", () => { if (location.hash) moveTo(); }); // the browser has gone to the place that # names
})();

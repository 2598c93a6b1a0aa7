"use strict";
// The answer, beside what it was before anything was changed; and the list of the changes.

const SHOWN = 5;

function paintAnswer() {
  const now = softmax(state.outputs.at(-1).data);
  const before = changed() ? softmax(state.trained.at(-1).data) : null;
  const order = [...now.keys()].sort((a, b) => now[b] - now[a]).slice(0, SHOWN);
  byId("answers").replaceChildren(...order.map((c) => make("li", {}, answerButton(c, now[c], before?.[c]))));
  for (const line of document.querySelectorAll(".short")) {
    // where the answers are out of sight: on a phone, and behind a dialog
    line.replaceChildren(make("b", {}, className(order[0])), ` ${percent(now[order[0]])}`, was(before?.[order[0]]));
  }
  byId("changes").replaceChildren(...changeList());
}

const className = (c) => mapName(network.layers.length - 1, c);
const was = (share) => (share === undefined ? "" : make("small", {}, ` was ${percent(share)}`));

// A class with its probability as a bar, and a mark where it was before; a click takes its logit apart.
function answerButton(c, now, before) {
  const look = () => {
    go(network.layers.length - 1, { map: c, y: 0, x: 0 });
    byId("layers").scrollIntoView();
  };
  const name = make("span", { class: "name" }, className(c));
  const bar = make("i", { style: { width: `${100 * now}%` } });
  const mark = before === undefined ? "" : make("u", { style: { left: `${100 * before}%` } });
  return make(
    "button",
    { type: "button", title: "How this number comes about", onclick: look },
    name,
    make("span", { class: "percent" }, percent(now)),
    was(before),
    bar,
    mark,
  );
}

// What the reader has changed, each with a button that undoes it.
function changeList() {
  const filters = changedFilters();
  const items = filters.length ? [changeItem(`filter ${filters.join(", ")} of ${firstLayer().name} edited`, asTrained)] : [];
  state.off.forEach((channels, layer) => {
    if (channels?.size)
      items.push(
        changeItem(`${layerAt(layer).name}: channel ${[...channels].sort((a, b) => a - b).join(", ")} off`, () => switchOn(layer)),
      );
  });
  const all = items.length > 1 ? make("button", { type: "button", onclick: undoAll }, "undo all") : "";
  return items.length ? [make("h3", {}, "Changed"), make("ul", {}, items), all] : [];
}

function changeItem(words, undo) {
  return make("li", {}, `${words} `, make("button", { type: "button", onclick: undo }, "undo"));
}

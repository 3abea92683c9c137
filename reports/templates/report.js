"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const col = data.columns;
  const size = (col.id || []).length;
  const PAGE = 100;
  const FAILING = new Set(["error", "fail", "timeout", "crash"]);
  const byId = (id) => document.getElementById(id);

  /* Text goes in as text only, so that nothing in a journal can become markup. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== ""));
    return element;
  }

  const subject = (i) => data.subjects[col.subject[i]][0];
  const family = (i) => data.subjects[col.subject[i]][1];
  const status = (i) => data.statuses[col.status[i]];
  const target = (t) => data.targets[t].filter(Boolean).join(" ");
  function id(i) {
    const [shares, text] = data.endings[col.id[i]];
    return shares ? `${subject(i)}::${data.checks[col.check[i]]}::${text}` : text;
  }
  function outcome(i) {
    if (col.mark[i] === 2) return "waiver";
    return (col.mark[i] === 1 ? "known " : "") + status(i).replace("_", " ");
  }
  /* -1 stands for inf and -2 for nan: both are farther off than any number. */
  const real = (x) => (x === null || x === undefined ? -Infinity : x === -1 ? Infinity : x === -2 ? Infinity : x);
  function number(x) {
    if (x === null || x === undefined) return "";
    if (x === -1) return "inf";
    if (x === -2) return "nan";
    if (x === 0) return "0";
    if (x >= 1e6 || x < 1e-3) return x.toExponential(1);
    if (x >= 1000) return Math.round(x).toLocaleString("en");
    return String(Number(x.toPrecision(3)));
  }
  function seconds(x) {
    if (x === null) return "";
    return x >= 1 ? `${number(x)} s` : `${number(Number((1000 * x).toPrecision(2)))} ms`;
  }
  /* What a reader should see first among several cells. */
  function weight(i) {
    const name = status(i);
    if (FAILING.has(name)) return (col.mark[i] ? 50 : 60) + col.status[i];
    return { blocked: 40, not_exercised: 39, not_run: 38, pass: col.mark[i] ? 21 : 20 }[name] || 0;
  }
  const graver = (a, b) =>
    a === undefined || weight(b) > weight(a) || (weight(b) === weight(a) && real(col.ratio[b]) > real(col.ratio[a])) ? b : a;

  /* A table with sorting and paging over row numbers; only the page in view has elements. */
  function pager(host, label, columns, initial, empty) {
    let rows = [], sort = initial, page = 0;
    const head = make("tr"), body = make("tbody"), said = make("p", { role: "status" });
    const back = make("button", { type: "button", onclick: () => turn(-1) }, "Previous");
    const on = make("button", { type: "button", onclick: () => turn(1) }, "Next");
    columns.forEach((column, place) => {
      const button = make("button", { type: "button", onclick: () => order(place) }, column.label);
      head.append(make("th", { scope: "col", class: column.value && !column.left ? "n" : null }, button));
    });
    host.append(said,
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
        make("table", { class: "rows" }, make("thead", {}, head), body)),
      make("p", { class: "controls" }, back, on));
    function turn(by) { page += by; draw(); }
    function order(place) {
      const first = columns[place].value ? -1 : 1;
      sort = sort && sort[0] === place ? [place, -sort[1]] : [place, first];
      arrange();
    }
    function arrange() {
      if (sort) {
        const [place, way] = sort, column = columns[place];
        const keys = new Map(rows.map((row) => [row, column.value ? column.value(row) : column.text(row)]));
        rows.sort((a, b) => {
          const x = keys.get(a), y = keys.get(b);
          return way * (x < y ? -1 : x > y ? 1 : 0);
        });
      }
      [...head.children].forEach((th, place) => {
        if (sort && sort[0] === place) th.setAttribute("aria-sort", sort[1] > 0 ? "ascending" : "descending");
        else th.removeAttribute("aria-sort");
      });
      page = 0;
      draw();
    }
    function draw() {
      const from = page * PAGE, to = Math.min(rows.length, from + PAGE);
      body.replaceChildren(...rows.slice(from, to).map((row) => make("tr", {},
        ...columns.map((column, place) => make(place ? "td" : "th",
          { class: column.value && !column.left ? "n" : null, scope: place ? null : "row" }, ...[column.show(row)].flat())))));
      said.textContent = rows.length ? `${(from + 1).toLocaleString("en")} to ${to.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : empty;
      back.disabled = page === 0;
      on.disabled = to >= rows.length;
    }
    return (next) => { rows = next; arrange(); };
  }

  function choose(label, name, options) {
    const select = make("select", { id: name }, ...options.map(([value, text]) => make("option", { value }, text)));
    return [make("label", {}, label, select), select];
  }
  const named = (list) => list.map((text, n) => [n, text || "none"]).sort((a, b) => (a[1] < b[1] ? -1 : 1));

  function cellsTool() {
    const host = byId("cells-tool");
    const search = make("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
    const outcomes = [...new Set(col.id.map((_, i) => outcome(i)))].sort();
    const filters = [
      ["Outcome", "f-outcome", outcomes.map((text) => [text, text]), (i) => outcome(i)],
      ["Family", "f-family", named(data.families), family],
      ["Check", "f-check", named(data.checks), (i) => col.check[i]],
      ["Device and mode", "f-target", data.targets.map((_, t) => [t, target(t)]), (i) => col.target[i]],
      ["dtype", "f-dtype", named(data.dtypes), (i) => col.dtype[i]],
    ].map(([label, name, options, value]) => [...choose(label, name, [["", "all"], ...options]), value]);
    const form = make("div", { class: "controls", role: "search" },
      make("label", {}, "Search id and detail", search), ...filters.map(([label]) => label),
      make("button", { type: "button", id: "clear", onclick: () => { search.value = ""; filters.forEach(([, select]) => { select.value = ""; }); apply(); } }, "Clear"));
    host.append(form);
    const show = pager(host, "Cells", [
      { label: "Cell", text: id, show: (i) => [make("code", {}, id(i)), data.details[col.detail[i]] ? make("small", {}, data.details[col.detail[i]]) : ""] },
      { label: "Outcome", value: weight, left: true, show: tag },
      { label: "Error / allowed", value: (i) => real(col.ratio[i]), show: (i) => number(col.ratio[i]) },
      { label: "ulp", value: (i) => real(col.ulp[i]), show: (i) => number(col.ulp[i]) },
      { label: "Examples", value: (i) => col.examples[i], show: (i) => col.examples[i].toLocaleString("en") },
      { label: "Elements", value: (i) => col.elements[i], show: (i) => col.elements[i].toLocaleString("en") },
      { label: "Ran on", text: (i) => data.devices[col.ran[i]], show: (i) => data.devices[col.ran[i]] },
      { label: "Time", value: (i) => real(col.seconds[i]), show: (i) => seconds(col.seconds[i]) },
    ], [1, -1], "No cell matches.");
    const details = data.details.map((text) => text.toLowerCase());
    function apply() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const tests = filters.filter(([, select]) => select.value !== "").map(([, select, value]) => (i) => String(value(i)) === select.value);
      const found = [];
      for (let i = 0; i < size; i += 1) {
        if (!tests.every((test) => test(i))) continue;
        if (words.length) {
          const text = `${id(i).toLowerCase()} ${details[col.detail[i]]}`;
          if (!words.every((word) => text.includes(word))) continue;
        }
        found.push(i);
      }
      show(found);
    }
    let waiting = 0;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 120); });
    filters.forEach(([, select]) => select.addEventListener("change", apply));
    apply();
    return (text) => { filters.forEach(([, select]) => { select.value = ""; }); search.value = text; apply(); };
  }
  function tag(i) {
    const kind = col.mark[i] ? ["", "known", "waiver"][col.mark[i]] : status(i);
    const anchor = data.anchors[i];
    return make(anchor ? "a" : "span", { class: `tag ${kind}`, href: anchor ? `#${anchor}` : null }, outcome(i));
  }

  function accuracyTool() {
    const host = byId("accuracy-tool"), place = new Map(data.farthest);
    const [label, select] = choose("Device and mode", "accuracy-target", [["", "all"], ...data.targets.map((_, t) => [t, target(t)])]);
    const [dtypeLabel, dtype] = choose("dtype", "accuracy-dtype", [["", "all"], ...named(data.dtypes)]);
    host.append(make("p", { class: "controls" }, label, dtypeLabel));
    const show = pager(host, "Largest error in ulp", [
      { label: "Subject", text: subject, show: (i) => make("code", {}, subject(i)) },
      { label: "dtype", text: (i) => data.dtypes[col.dtype[i]], show: (i) => data.dtypes[col.dtype[i]] },
      { label: "ulp", value: (i) => real(col.ulp[i]), show: (i) => number(col.ulp[i]) },
      { label: "Error / allowed", value: (i) => real(col.ratio[i]), show: (i) => number(col.ratio[i]) },
      { label: "Check", text: (i) => data.checks[col.check[i]], show: (i) => data.checks[col.check[i]] },
      { label: "Target", text: (i) => target(col.target[i]), show: (i) => target(col.target[i]) },
      { label: "Where", text: (i) => place.get(i), show: (i) => make("small", {}, place.get(i)) },
    ], [2, -1], "Nothing was measured, or everything is exact.");
    const apply = () => show([...place.keys()].filter((i) =>
      (select.value === "" || col.target[i] === Number(select.value)) && (dtype.value === "" || col.dtype[i] === Number(dtype.value))));
    select.addEventListener("change", apply);
    dtype.addEventListener("change", apply);
    apply();
  }

  function matrixTool(search) {
    const host = byId("matrix-families"), targets = byId("matrix-target"), dtypes = byId("matrix-dtype");
    data.targets.forEach((_, t) => targets.append(make("option", { value: t }, target(t))));
    dtypes.append(make("option", { value: "worst" }, "worst of all"), make("option", { value: "each" }, "each, in a line of its own"));
    named(data.dtypes).forEach(([n, text]) => dtypes.append(make("option", { value: n }, text)));
    byId("matrix-tool").hidden = false;
    const open = new Set();
    function list() {
      const t = Number(targets.value), groups = new Map();
      for (let i = 0; i < size; i += 1) {
        if (col.target[i] !== t) continue;
        const f = family(i);
        if (!groups.has(f)) groups.set(f, []);
        groups.get(f).push(i);
      }
      const names = [...groups.keys()].sort((a, b) => (data.families[a] < data.families[b] ? -1 : 1));
      host.replaceChildren(...names.map((f) => section(f, groups.get(f))));
    }
    function section(f, cells) {
      const is = (test) => cells.filter(test).length.toLocaleString("en");
      const bad = cells.filter((i) => FAILING.has(status(i)) && !col.mark[i]).length;
      const box = make("div");
      const details = make("details", { class: "family" },
        make("summary", {}, make("h3", {}, data.families[f] || "no family"),
          `${is((i) => status(i) === "pass")} passed / ${is((i) => status(i) !== "unsupported")} applicable / ${is(() => true)} selected `,
          bad ? make("span", { class: "tag fail" }, `${bad.toLocaleString("en")} unexpected`) : ""), box);
      const draw = () => {
        if (details.open) open.add(f); else open.delete(f);
        if (details.open && !box.firstChild) grid(box, cells, data.families[f] || "no family");
      };
      details.addEventListener("toggle", draw);
      if (open.has(f)) details.open = true;
      return details;
    }
    function grid(box, cells, name) {
      const want = dtypes.value, lines = new Map(), checks = new Set();
      for (const i of cells) {
        const d = col.dtype[i];
        if (want !== "worst" && want !== "each" && String(d) !== want) continue;
        const key = want === "each" ? `${col.subject[i]} ${d}` : String(col.subject[i]);
        if (!lines.has(key)) lines.set(key, { title: subject(i) + (want === "each" && data.dtypes[d] ? `, ${data.dtypes[d]}` : ""), subject: subject(i), at: {} });
        const line = lines.get(key), c = col.check[i];
        line.at[c] = graver(line.at[c], i);
        checks.add(c);
      }
      const order = [...checks].sort((a, b) => a - b), all = [...lines.values()];
      const body = make("tbody");
      box.append(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Matrix of ${name}` },
        make("table", { class: "grid" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Subject"),
          ...order.map((c) => make("th", { scope: "col" }, ...data.checks[c].split(/(?=_)/).flatMap((part) => [make("wbr"), part]))))), body)));
      const more = make("button", { type: "button", onclick: () => add() }, "Show more subjects");
      function add() {
        const from = body.children.length;
        body.append(...all.slice(from, from + 60).map((line) => make("tr", {},
          make("th", { scope: "row" }, make("a", { href: "#cells", onclick: () => search(`${line.subject}::`) }, line.title)),
          ...order.map((c) => make("td", {}, line.at[c] === undefined ? "" : square(line.at[c]))))));
        more.hidden = body.children.length >= all.length;
      }
      box.append(more);
      add();
    }
    function square(i) {
      const name = status(i), r = col.ratio[i], text = r === null ? "" : ` ${number(Number(real(r) < Infinity ? r.toPrecision(2) : r))}`;
      let kind = "none", said = { unsupported: "n/a", blocked: "block", not_exercised: "empty", not_run: "not run" }[name];
      if (name === "pass") {
        kind = col.mark[i] ? "waiver" : real(r) > 0.8 ? "pass p3" : real(r) > 0.4 ? "pass p2" : "pass";
        said = col.mark[i] ? `w${text}` : text.trim() || "ok";
      } else if (FAILING.has(name)) {
        kind = col.mark[i] ? "known" : name === "crash" ? "crash" : "fail";
        said = (col.mark[i] ? "known" : name) + text;
      }
      const anchor = data.anchors[i], title = `${id(i)}: ${outcome(i)}${data.details[col.detail[i]] ? `. ${data.details[col.detail[i]]}` : ""}`;
      return make(anchor ? "a" : "span", { class: `c ${kind}`, title, href: anchor ? `#${anchor}` : null }, said);
    }
    targets.addEventListener("change", list);
    dtypes.addEventListener("change", list);
    if (data.targets.length) list();
  }

  function copyButtons() {
    for (const button of document.querySelectorAll(".copy")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const pre = button.parentElement.querySelector("pre");
        let done = true;
        try {
          await navigator.clipboard.writeText(pre.textContent);
        } catch {
          getSelection().selectAllChildren(pre);
          done = document.execCommand("copy");
        }
        button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
        setTimeout(() => { button.textContent = "Copy script"; }, 2000);
      });
    }
  }

  /* A link into a folded failure opens it. */
  function unfold() {
    const goal = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    const fold = goal && goal.closest("details");
    if (fold && !fold.open) { fold.open = true; goal.scrollIntoView(); }
  }

  document.querySelectorAll(".without-script").forEach((element) => element.remove());
  copyButtons();
  addEventListener("hashchange", unfold);
  unfold();
  if (size) {
    const search = cellsTool();
    matrixTool(search);
    accuracyTool();
  }
})();

"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const fields = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const tracks = data.rows.map((cells, index) => {
    const track = Object.fromEntries(data.columns.map((name) => [name, cells[fields[name]]]));
    track.index = index;
    track.words = [track.label, track.identifier, track.assay, track.target, track.biosample,
      track.model, track.description].join("\n").toLowerCase();
    return track;
  });
  const ROW = 40, facets = {};
  const open = new Set();
  let browser = null, shown = tracks, active = 0, last = Promise.resolve();

  // igv.js puts some names into the page as HTML
  const harmless = (text) => text.replace(/</g, "‹").replace(/>/g, "›");
  const say = (text) => { element("message").textContent = text; };
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const number = (value) => value.toLocaleString("en");

  // ---- tracks of igv.js -------------------------------------------------------------------------

  function configure(track, count) {
    const half = track.strand !== "." ? 0.68 : 1;
    const config = {
      id: `track-${track.index}`, name: harmless(track.label), type: "wig", format: "bigwig",
      url: track.file, color: track.colour, altColor: track.colour, order: 100 + track.index,
      height: Math.round((count > 24 ? 34 : count > 12 ? 44 : 56) * half),
      windowFunction: track.window, flipAxis: track.flipped,
    };
    if (track.range) {
      [config.min, config.max] = track.range;
      config.height = 26;
    } else {
      config.autoscaleGroup = `scale-${track.scale}`;
    }
    return config;
  }

  function update() {
    for (const row of element("rows").children) mark(row);
    element("count").textContent = `${number(shown.length)} tracks, ${open.size} open`;
  }

  function toggle(track) {
    if (!browser) return;
    say("");
    if (open.has(track.index)) {
      open.delete(track.index);
      change(() => close(track));
    } else if (open.size >= data.limit) {
      say(`${data.limit} tracks are open, the most that stay quick. Close one first.`);
    } else {
      open.add(track.index);
      change(() => browser.loadTrack(configure(track, open.size)));
    }
    update();

    function change(action) {  // one after the other
      last = last.then(action).catch((error) => {
        open.delete(track.index);
        update();
        say(`${track.file} cannot be opened: ${error.message || error}`);
      });
    }
  }

  async function close(track) {
    // igv.js fails if a track goes while the tracks of its scale are being drawn
    const isLoading = (view) => (view.viewports || []).some((port) => port.isLoading && port.isLoading());
    for (let turn = 0; turn < 100 && browser.trackViews.some(isLoading); turn++) await pause(30);
    await browser.updateViews();
    const view = browser.trackViews.find(({track: other}) => other.id === `track-${track.index}`);
    if (view) browser.removeTrack(view.track);
  }

  // ---- the list: only the rows in sight exist ----------------------------------------------------

  function mark(row) {
    const track = tracks[row.dataset.index];
    const isOpen = open.has(track.index);
    row.setAttribute("aria-selected", isOpen);
    row.firstChild.style.background = isOpen ? track.colour : "transparent";
    row.classList.toggle("active", shown[active] === track && document.activeElement === element("list"));
  }

  function draw() {
    const list = element("list"), rows = element("rows");
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 10);
    rows.style.height = `${shown.length * ROW}px`;
    rows.replaceChildren(...shown.slice(first, last).map((track, offset) => {
      const row = document.createElement("div");
      row.className = "row";
      row.setAttribute("role", "option");
      row.dataset.index = track.index;
      row.style.top = `${(first + offset) * ROW}px`;
      row.title = `${track.description}\n${track.unit}`;
      const [swatch, title, detail] = ["i", "b", "span"].map((name) => document.createElement(name));
      swatch.style.borderColor = track.colour;
      title.textContent = track.title;
      detail.textContent = track.detail;
      row.append(swatch, title, detail);
      mark(row);
      return row;
    }));
    update();
  }

  function filter() {
    const words = element("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = Object.entries(facets).filter(([, select]) => select.value);
    shown = tracks.filter((track) =>
      wanted.every(([name, select]) => name === "open"
        ? open.has(track.index) : select.value === `=${track[name]}`)
      && words.every((word) => track.words.includes(word)));
    active = 0;
    element("list").scrollTop = 0;
    draw();
  }

  function addFacet(name, title) {
    const counts = new Map();
    for (const track of tracks) counts.set(track[name], (counts.get(track[name]) || 0) + 1);
    const values = [...counts.keys()].filter((value) => value !== "");
    if (values.length < 2) return;
    values.sort((a, b) => a.localeCompare(b, "en", {numeric: true, sensitivity: "base"}));
    const labels = {"+": "strand +", "-": "strand −", ".": "no strand"};
    addSelect(name, title, values.map((value) => [
      `=${value}`, `${name === "strand" ? labels[value] : value} (${number(counts.get(value))})`]));
  }

  function addSelect(name, title, options) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", title);
    for (const [value, text] of [["", title], ...options]) select.append(new Option(text, value));
    select.addEventListener("change", filter);
    facets[name] = select;
    element("selects").append(select);
  }

  function move(event) {
    const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10};
    const list = element("list");
    if (event.key in steps) {
      active = Math.max(0, Math.min(shown.length - 1, active + steps[event.key]));
      if (active * ROW < list.scrollTop) list.scrollTop = active * ROW;
      const bottom = (active + 1) * ROW - list.clientHeight;
      if (bottom > list.scrollTop) list.scrollTop = bottom;
      draw();
    } else if ((event.key === "Enter" || event.key === " ") && shown[active]) {
      toggle(shown[active]);
    } else {
      return;
    }
    event.preventDefault();
  }

  // ---- the page ----------------------------------------------------------------------------------

  function addLoci() {
    if (data.loci.length < 2) return;
    element("loci").append("Strong signals:");
    for (const [locus, name] of data.loci) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.title = locus;
      button.addEventListener("click", () => browser && browser.search(locus));
      element("loci").append(button);
    }
  }

  function explainFile() {
    const notice = document.createElement("div"), command = document.createElement("code");
    notice.className = "notice";
    command.textContent = `seqcov serve ${decodeURI(location.pathname).replace(/\/[^/]*$/, "")}`;
    notice.append("Web browsers do not let a page that was opened as a file read the tracks beside it. Run ",
      command, " and open the address that it prints. report.html opens without a server.");
    element("browser").append(notice);
  }

  async function start() {
    const first = data.shown.map((index) => tracks[index]);
    for (const track of first) open.add(track.index);
    draw();
    browser = await igv.createBrowser(element("browser"), {
      loadDefaultGenomes: false, showCenterGuideButton: false, showMultiSelectButton: false,
      reference: {...data.reference, tracks: []}, locus: data.locus,
      tracks: [...data.extras, ...first.map((track) => configure(track, first.length))],
    });
    window.igvBrowser = browser;
    browser.on("trackremoved", (removed) => {
      for (const {id} of [removed].flat()) {
        const match = /^track-(\d+)$/.exec(id || "");
        if (match) open.delete(Number(match[1]));
      }
      update();
    });
    const style = document.createElement("style");
    style.textContent = `.igv-track-label.igv-track-label { font: 500 12px/15px system-ui, sans-serif;
      border: none; background: rgba(255, 255, 255, 0.75); padding: 0 3px; color: #1c2733; top: 1px; left: 2px; }`;
    (element("browser").shadowRoot || element("browser")).append(style);
  }

  element("summary").textContent = data.summary;
  for (const [name, title] of [["assay", "All assays"], ["target", "All targets"],
    ["biosample", "All biosamples"], ["strand", "All strands"], ["model", "All models"]]) addFacet(name, title);
  if (tracks.some((track) => track.observed)) {
    addSelect("observed", "All sources", [["=false", "Predicted"], ["=true", "Observed"]]);
  }
  addSelect("open", "All tracks", [["=1", "Open tracks"]]);
  element("search").addEventListener("input", filter);
  element("list").addEventListener("scroll", draw);
  element("list").addEventListener("keydown", move);
  element("list").addEventListener("focus", draw);
  element("list").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    active = shown.indexOf(tracks[row.dataset.index]);
    toggle(tracks[row.dataset.index]);
  });
  element("close").addEventListener("click", () => {
    for (const index of [...open]) toggle(tracks[index]);
  });
  window.addEventListener("resize", draw);
  addLoci();
  if (location.protocol === "file:") {
    draw();
    explainFile();
  } else {
    start().catch((error) => say(`The browser cannot start: ${error.message || error}`));
  }
})();

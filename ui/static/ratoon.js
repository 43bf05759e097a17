/* What the screens need beyond HTML and htmx: keys, type-aheads, charts, a small editor. Nothing here decides anything. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var $ = function (selector, from) { return (from || document).querySelector(selector); };
  var $$ = function (selector, from) { return Array.from((from || document).querySelectorAll(selector)); };
  var token = function () { var meta = $('meta[name="csrf-token"]'); return meta ? meta.content : ""; };

  /* htmx: every request carries the CSRF token; failures say so */
  document.addEventListener("htmx:configRequest", function (event) { event.detail.headers["X-CSRFToken"] = token(); });
  function complain() {
    var place = $("#flash");
    if (!place) return;
    var box = document.createElement("div");
    box.className = "alert alert-danger";
    box.setAttribute("role", "alert");
    box.textContent = document.body.dataset.failed;
    place.replaceChildren(box);
  }
  document.addEventListener("htmx:sendError", complain);
  document.addEventListener("htmx:responseError", complain);

  /* keys: / searches, n makes a record, e edits; Escape closes menus */
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      $$("details.rt-menu[open]").forEach(function (menu) { menu.open = false; var s = $("summary", menu); if (s) s.focus(); });
      $$(".rt-lookup.rt-open").forEach(close);
      if (document.activeElement && document.activeElement.id === "search") document.activeElement.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    var at = event.target;
    if (at.closest && at.closest("input, textarea, select, [contenteditable=true]")) return;
    if (event.key === "/") { var box = $("#search"); if (box) { event.preventDefault(); box.focus(); box.select(); } return; }
    var link = /^[a-z]$/.test(event.key) ? $('[data-key="' + event.key + '"]') : null;
    if (link) { event.preventDefault(); link.click(); }
  });
  document.addEventListener("click", function (event) {
    $$("details.rt-menu[open]").forEach(function (menu) { if (!menu.contains(event.target)) menu.open = false; });
    $$(".rt-lookup.rt-open").forEach(function (box) { if (!box.contains(event.target)) close(box); });
    var theme = event.target.closest("[data-theme-switch]");
    if (theme) {
      var dark = root.dataset.bsTheme !== "dark";
      root.dataset.bsTheme = dark ? "dark" : "light";
      document.cookie = "theme=" + root.dataset.bsTheme + ";path=/;max-age=31536000;samesite=lax";
      charts();
    }
    var option = event.target.closest(".rt-option");
    if (option) choose(option);
  });

  /* arrows walk through hits of the search box and options of a lookup */
  document.addEventListener("keydown", function (event) {
    if (["ArrowDown", "ArrowUp", "Enter"].indexOf(event.key) < 0 || event.isComposing) return;
    var lookup = event.target.closest && event.target.closest(".rt-lookup");
    var search = event.target.closest && event.target.closest(".rt-search");
    if (lookup && event.target.matches("input[role=combobox]")) {
      var options = $$(".rt-option", lookup), now = options.findIndex(function (o) { return o.classList.contains("rt-active"); });
      if (event.key === "Enter") {
        if (lookup.classList.contains("rt-open")) {
          event.preventDefault();
          if (now >= 0) choose(options[now]);
        }
        return;
      }
      if (!options.length) return;
      event.preventDefault();
      var next = (now + (event.key === "ArrowDown" ? 1 : options.length - 1) + (now < 0 && event.key === "ArrowUp" ? 1 : 0)) % options.length;
      options.forEach(function (o, i) { o.classList.toggle("rt-active", i === next); o.setAttribute("aria-selected", i === next); });
      options[next].scrollIntoView({ block: "nearest" });
    } else if (search && event.key !== "Enter") {
      var hits = $$("a.dropdown-item", search);
      if (!hits.length) return;
      event.preventDefault();
      var place = hits.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      if (place < 0) $("#search").focus(); else hits[Math.min(place, hits.length - 1)].focus();
    }
  });

  /* lookups; a click on an option leaves the focus where it is, so that nothing is asked for again */
  document.addEventListener("mousedown", function (event) {
    if (event.target.closest(".rt-option")) event.preventDefault();
  });
  function open(box) { box.classList.add("rt-open"); var i = $("[role=combobox]", box); if (i) i.setAttribute("aria-expanded", "true"); }
  function close(box) { box.classList.remove("rt-open"); var i = $("[role=combobox]", box); if (i) i.setAttribute("aria-expanded", "false"); }
  document.addEventListener("htmx:afterSwap", function (event) {
    var box = event.target.classList && event.target.classList.contains("rt-options") ? event.target.closest(".rt-lookup") : null;
    if (box && box.contains(document.activeElement)) open(box);
  });
  document.addEventListener("focusout", function (event) {
    var box = event.target.closest && event.target.closest(".rt-lookup");
    if (!box) return;
    setTimeout(function () { if (!box.contains(document.activeElement)) close(box); }, 150);
  });
  document.addEventListener("input", function (event) {
    var box = event.target.closest && event.target.closest(".rt-lookup");
    if (!box || !event.target.matches("[role=combobox]")) return;
    var id = $("[data-id]", box);
    if (id && id.value && event.target.value === "") set(box, "", "");
  });
  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-target]")) {
      var box = event.target.closest(".rt-lookup");
      set(box, "", "");
      $(".rt-options", box).replaceChildren();
    }
  });
  function set(box, id, title) {
    var text = $("[role=combobox]", box), hidden = $("[data-id]", box), shown = $("[data-shown]", box);
    text.value = title;
    if (shown) shown.value = title;
    if (hidden) { hidden.value = id; hidden.dispatchEvent(new Event("change", { bubbles: true })); }
  }
  function choose(option) {
    var box = option.closest(".rt-lookup"), title = option.dataset.title, id = option.dataset.id;
    if (box.dataset.lookup === "many") {
      var many = box.closest("[data-many]"), pattern = $("template[data-link]", many).content.firstElementChild.cloneNode(true);
      $("[data-title]", pattern).textContent = title;
      $$("input, select", pattern).forEach(function (i) { i.name = i.name.replace("__id__", id); if (i.type === "checkbox") i.value = id; });
      $(".rt-many-list", many).appendChild(pattern);
      $("[role=combobox]", box).value = "";
      $(".rt-options", box).replaceChildren();
    } else {
      set(box, id, title);
    }
    close(box);
    $("[role=combobox]", box).focus();
    close(box);
  }

  /* the small editor for rich text; the server cleans whatever it sends */
  function editors(from) {
    $$("[data-editor]", from).forEach(function (editor) {
      var page = $("[contenteditable]", editor), source = $("textarea", editor);
      if (page.dataset.ready) return;
      page.dataset.ready = "1";
      page.innerHTML = source.value;
      page.addEventListener("input", function () { source.value = page.textContent.trim() || $("img", page) ? page.innerHTML : ""; });
      editor.addEventListener("click", function (event) {
        var button = event.target.closest("[data-command]");
        if (!button) return;
        page.focus();
        document.execCommand("styleWithCSS", false, false);
        document.execCommand(button.dataset.command, false);
        source.value = page.innerHTML;
      });
    });
  }

  /* boards: a card is dragged into a column; its own form (the menu on the card) is what is sent */
  var dragged = null;
  function lane(event) { return dragged && event.target.closest ? event.target.closest("[data-lane]") : null; }
  function choice(card, place) {
    return $$("button[name=to]", card).find(function (b) { return b.value === place.dataset.lane; });
  }
  document.addEventListener("dragstart", function (event) {
    dragged = event.target.closest ? event.target.closest("[data-card]") : null;
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.card);
    dragged.classList.add("rt-dragged");
    $$("[data-lane]", dragged.closest("[data-board]")).forEach(function (l) {
      l.classList.toggle("rt-closed", !choice(dragged, l) && !l.contains(dragged));
    });
  });
  document.addEventListener("dragover", function (event) {
    var place = lane(event);
    if (!place || !choice(dragged, place)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    $$(".rt-over").forEach(function (l) { if (l !== place) l.classList.remove("rt-over"); });
    place.classList.add("rt-over");
  });
  document.addEventListener("drop", function (event) {
    var place = lane(event), button = place && choice(dragged, place);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
  document.addEventListener("dragend", function () {
    $$(".rt-over, .rt-closed, .rt-dragged").forEach(function (e) { e.classList.remove("rt-over", "rt-closed", "rt-dragged"); });
    dragged = null;
  });

  /* charts */
  function painted(place, name) {
    /* the colour of a class as rgb: the canvas of the charts does not know oklch() */
    var probe = document.createElement("span"); probe.className = name; place.appendChild(probe);
    var found = getComputedStyle(probe).color; probe.remove();
    var canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
    var pen = canvas.getContext("2d"); pen.fillStyle = found; pen.fillRect(0, 0, 1, 1);
    var p = pen.getImageData(0, 0, 1, 1).data; return "rgb(" + p[0] + "," + p[1] + "," + p[2] + ")";
  }
  function charts() {
    if (!window.echarts) return;
    var style = getComputedStyle(root);
    $$("[data-chart]").forEach(function (place) {
      var data = JSON.parse(place.dataset.chart), old = window.echarts.getInstanceByDom(place);
      if (old) old.dispose();
      var chart = window.echarts.init(place, null, { renderer: "canvas" });
      var paint = data.colors.map(function (name) { return painted(place, "text-" + name); }), ink = painted(place, "text-secondary");
      var small = place.clientWidth < 520;
      chart.setOption({
        animationDuration: 400,
        textStyle: { fontFamily: style.getPropertyValue("--rt-sans") },
        grid: { left: 4, right: small ? 64 : 96, top: 8, bottom: 4, containLabel: true },
        xAxis: { type: "value", max: "dataMax", splitLine: { show: false }, axisLabel: { show: false } },
        yAxis: { type: "category", inverse: true, data: data.labels, axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: ink, fontSize: 12 } },
        tooltip: { renderMode: "richText", formatter: function (p) { return data.labels[p.dataIndex] + "\n" + data.texts[p.dataIndex] + "\n" + data.counts[p.dataIndex] + " " + data.unit; } },
        series: [{ type: "bar", barMaxWidth: 30, data: data.values.map(function (v, i) { return { value: v, itemStyle: { color: paint[i], borderRadius: [4, 8, 8, 4] } }; }), showBackground: true, backgroundStyle: { color: "rgba(125,145,136,.09)", borderRadius: [4, 8, 8, 4] }, label: { show: true, position: "right", color: ink, fontSize: 12, formatter: function (p) { return data.texts[p.dataIndex]; } } }]
      });
    });
  }
  window.addEventListener("resize", function () {
    $$("[data-chart]").forEach(function (p) { var c = window.echarts && window.echarts.getInstanceByDom(p); if (c) c.resize(); });
  });

  function tabs(from) {
    $$(".rt-tabs .active, .rt-path .rt-current", from).forEach(function (tab) {
      var bar = tab.closest(".rt-tabs, .rt-path");
      bar.scrollLeft = Math.max(0, tab.getBoundingClientRect().left - bar.getBoundingClientRect().left + bar.scrollLeft - bar.clientWidth / 3);
    });
  }

  function zone() {
    var own = window.Intl && Intl.DateTimeFormat().resolvedOptions().timeZone;
    $$("input[data-own-zone]").forEach(function (input) {
      if (own && $$("option", input.list).some(function (o) { return o.value === own; })) input.value = own;
    });
  }

  function ready() {
    zone();
    tabs(document);
    editors(document);
    charts();
    var problems = $("#problems");
    if (problems) problems.focus();
  }
  document.addEventListener("htmx:load", function (event) { editors(event.target); tabs(event.target); });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready); else ready();
})();

// Draws the charts of a page from their JSON addresses. A chart is an element with data-chart:
//   data-chart       address of its JSON, without the range
//   data-range       the range that is shown first
//   data-strings     id of the json_script with the translated words
//   data-limits      id of the json_script with the limits to draw: pane, value, text, severity (may be left out)
// Colours are the page's own tokens, so they follow the theme. Times on the axis are in the channel's time zone.
(function () {
  "use strict";

  const DAY = 86400000;
  const AXIS_WIDTH = 64;
  const BAND_HEIGHT = 8;
  const STRIP_HEIGHT = 5;
  const COVERED_WIDTH = 4;
  const MAX_TICKS = 6;
  const MAX_PLACES = 6;
  const FACTS = {
    list_price: { place: 6, dash: [2, 3], width: 1.4 },
    live_price: { place: 1, dash: [], width: 2 },
    promotion_price: { place: 2, dash: [7, 3], width: 2 },
    stock: { place: 3, dash: [], width: 2, isFilled: true },
    after_coupon: { place: 1, dash: [], width: 2 },
    break_even: { place: 2, dash: [6, 4], width: 1.4 },
  };
  // Lines of a comparison, in palette order; round points tell competitors from own listings.
  const LINES = [
    { place: 1, dash: [], width: 2 },
    { place: 4, dash: [], width: 2 },
    { place: 3, dash: [], width: 2 },
    { place: 2, dash: [7, 3], width: 2 },
    { place: 5, dash: [4, 3], width: 2 },
    { place: 6, dash: [2, 3], width: 1.4 },
  ];
  const SHELF_ORDER = ["on_shelf", "sold_out", "off_shelf", "unknown", "not_read"];
  const language = document.documentElement.lang || "en";
  const charts = [];

  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function colours() {
    const found = { places: [] };
    for (let place = 1; place <= MAX_PLACES; place += 1) found.places[place] = token(`--c${place}`);
    found.grid = token("--grid");
    found.text = token("--body-quiet-color");
    found.loud = token("--body-loud-color");
    found.card = token("--body-bg");
    found.border = token("--border-color");
    found.warning = token("--warning");
    found.critical = token("--critical");
    found.info = token("--info");
    return found;
  }

  function translucent(colour, share) {
    // Tokens are #rgb or #rrggbb.
    const hex = colour.length === 4 ? colour.replace(/[0-9a-f]/gi, "$&$&") : colour;
    return hex + Math.round(share * 255).toString(16).padStart(2, "0");
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function svg(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  // --- Time ---------------------------------------------------------------------------------------------------------

  function clock(timeZone) {
    const format = new Intl.DateTimeFormat("en-GB", {
      timeZone, hourCycle: "h23",
      year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    });
    function parts(at) {
      const found = {};
      for (const { type, value } of format.formatToParts(at)) found[type] = value;
      return found;
    }
    return {
      parts,
      // By how much the zone's clock is ahead of UTC at a moment.
      offset(at) {
        const p = parts(at);
        return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(at / 1000) * 1000;
      },
      full(at) {
        const p = parts(at);
        return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}`;
      },
    };
  }

  // Some moments at round local times, and how each is written: with its time under three days, with the year where
  // that changes.
  function timeTicks(start, end, zone, most) {
    const hour = DAY / 24;
    const steps = [hour / 12, hour / 4, hour / 2, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour,
      DAY, 2 * DAY, 3 * DAY, 5 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 61 * DAY, 91 * DAY, 183 * DAY];
    const step = steps.find((each) => (end - start) / each <= most) || 366 * DAY;
    const isShort = end - start < 3 * DAY;
    const ticks = [];
    let shift = zone.offset(start);
    let at = Math.ceil((start + shift) / step) * step - shift;
    while (at <= end) {
      // Clocks may have changed since the first tick.
      const drift = step >= DAY ? shift - zone.offset(at) : 0;
      const p = zone.parts(at + drift);
      const before = ticks.length ? zone.parts(ticks[ticks.length - 1].value) : p;
      let label = p.year === before.year ? `${p.month}-${p.day}` : `${p.year}-${p.month}-${p.day}`;
      if (isShort) label += ` ${p.hour}:${p.minute}`;
      ticks.push({ value: at + drift, label });
      at += step;
    }
    return ticks;
  }

  // --- What Chart.js does not draw itself -----------------------------------------------------------------------------

  function hatch(context, left, top, right, bottom, colour) {
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    const height = bottom - top;
    // Lines stand on a fixed grid, so that the hatching of neighbouring bands meets.
    for (let x = Math.floor((left - height) / 6) * 6; x < right; x += 6) {
      context.moveTo(x, bottom);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
  }

  const unread = {
    id: "unread",
    beforeDatasetsDraw(chart) {
      const { ctx, chartArea, scales } = chart;
      const { data, strings, theme, isFirst } = chart.evenshelf;
      for (const [from, to] of data.gaps) {
        const left = Math.max(scales.x.getPixelForValue(from), chartArea.left);
        const right = Math.min(scales.x.getPixelForValue(to), chartArea.right);
        if (right - left < 0.5) continue;
        hatch(ctx, left, chartArea.top, right, chartArea.bottom, translucent(theme.text, 0.55));
        const width = ctx.measureText(strings.notRead).width;
        if (isFirst && right - left > width + 4) {
          ctx.save();
          ctx.font = `11px ${Chart.defaults.font.family}`;
          ctx.textAlign = "center";
          ctx.textBaseline = "middle";
          ctx.fillStyle = theme.card;
          ctx.fillRect((left + right) / 2 - width / 2 - 4, chartArea.top + 2, width + 8, 18);
          ctx.fillStyle = theme.text;
          ctx.fillText(strings.notRead, (left + right) / 2, chartArea.top + 11);
          ctx.restore();
        }
      }
    },
  };

  // A limit within the axis: a dashed line over the data, with its text on it.
  const limits = {
    id: "limits",
    afterDatasetsDraw(chart) {
      const { ctx, chartArea, scales } = chart;
      const { theme } = chart.evenshelf;
      for (const limit of chart.evenshelf.limits) {
        const y = scales.y.getPixelForValue(limit.value);
        if (y < chartArea.top || y > chartArea.bottom) continue;
        ctx.save();
        ctx.strokeStyle = theme[limit.severity];
        ctx.lineWidth = 1.4;
        ctx.setLineDash([6, 4]);
        ctx.beginPath();
        ctx.moveTo(chartArea.left, y);
        ctx.lineTo(chartArea.right, y);
        ctx.stroke();
        ctx.font = `11px ${Chart.defaults.font.family}`;
        ctx.textBaseline = "middle";
        const above = y - chartArea.top > 20 ? y - 10 : y + 10;
        ctx.fillStyle = theme.card;
        ctx.fillRect(chartArea.left + 5, above - 8, ctx.measureText(limit.text).width + 8, 16);
        ctx.fillStyle = theme[limit.severity];
        ctx.fillText(limit.text, chartArea.left + 9, above);
        ctx.restore();
      }
    },
  };

  const shelf = {
    id: "shelf",
    afterDraw(chart) {
      const { ctx, chartArea, scales } = chart;
      const { data, theme, isLast } = chart.evenshelf;
      if (!isLast || !data.shelf.length) return;
      const top = chartArea.bottom + 5;
      for (const [from, to, state] of data.shelf) {
        const left = Math.max(scales.x.getPixelForValue(from), chartArea.left);
        const right = Math.min(scales.x.getPixelForValue(to), chartArea.right);
        if (right <= left) continue;
        if (state === "unknown" || state === "not_read") {
          hatch(ctx, left, top, right, top + BAND_HEIGHT, translucent(theme.text, 0.7));
        } else {
          ctx.fillStyle = { on_shelf: translucent(theme.places[3], 0.4), sold_out: theme.warning, off_shelf: theme.text }[state];
          // The narrowest stretch is still a visible mark.
          ctx.fillRect(left, top, Math.max(right - left, 1.5), BAND_HEIGHT);
        }
      }
    },
  };

  // In a comparison a gap of one line is none of the others: each has its own strip, in its colour.
  const unreadLines = {
    id: "unreadLines",
    afterDraw(chart) {
      const { ctx, chartArea, scales } = chart;
      withGaps(chart.data.datasets).forEach((line, row) => {
        const top = chartArea.bottom + 5 + row * (STRIP_HEIGHT + 2);
        for (const [from, to] of line.gaps) {
          const left = Math.max(scales.x.getPixelForValue(from), chartArea.left);
          const right = Math.min(scales.x.getPixelForValue(to), chartArea.right);
          if (right <= left) continue;
          ctx.fillStyle = translucent(line.borderColor, 0.2);
          ctx.fillRect(left, top, right - left, STRIP_HEIGHT);
          hatch(ctx, left, top, right, top + STRIP_HEIGHT, line.borderColor);
        }
      });
    },
  };

  function withGaps(datasets) {
    return datasets.filter((dataset) => dataset.gaps && dataset.gaps.length);
  }

  // What is missing to break-even while the price is below it.
  const loss = {
    id: "loss",
    beforeDatasetsDraw(chart) {
      const { ctx, scales } = chart;
      const { data, theme } = chart.evenshelf;
      const [price, limit] = ["after_coupon", "break_even"].map((fact) => chart.data.datasets.find((each) => each.fact === fact));
      if (!price || !limit) return;
      for (let index = 0; index < data.labels.length - 1; index += 1) {
        const [low, high] = [price.data[index], limit.data[index]];
        if (low === null || high === null || low >= high) continue;
        const [left, right] = [index, index + 1].map((each) => scales.x.getPixelForValue(data.labels[each]));
        hatch(ctx, left, scales.y.getPixelForValue(high), right, scales.y.getPixelForValue(low), theme.critical);
      }
    },
  };

  const single = {
    id: "single",
    afterDatasetsDraw(chart) {
      const { data, strings, theme, isFirst, valueText } = chart.evenshelf;
      if (!data.isSingle || !isFirst) return;
      const { ctx } = chart;
      const meta = chart.getDatasetMeta(chart.data.datasets.length - 1);
      const point = meta.data[0];
      if (!point) return;
      const text = `${valueText(chart.data.datasets[meta.index], 0)}, ${strings.oneReading}`;
      ctx.save();
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.fillStyle = theme.text;
      const isLeft = point.x > (chart.chartArea.left + chart.chartArea.right) / 2;
      ctx.textAlign = isLeft ? "right" : "left";
      ctx.fillText(text, point.x + (isLeft ? -10 : 10), point.y - 10);
      ctx.restore();
    },
  };

  // --- One chart of the page ------------------------------------------------------------------------------------------

  class EvenshelfChart {
    constructor(root) {
      this.root = root;
      this.strings = JSON.parse(document.getElementById(root.dataset.strings).textContent);
      this.limits = root.dataset.limits ? JSON.parse(document.getElementById(root.dataset.limits).textContent) : [];
      this.panes = [];
      this.data = null;
      this.asked = 0;
      this.legend = root.querySelector("[data-chart-legend]");
      this.body = root.querySelector("[data-chart-body]");
      this.note = root.querySelector("[data-chart-note]");
      this.table = root.querySelector("[data-chart-table]");
      this.csv = root.querySelector("[data-chart-csv]");
      this.buttons = [...root.querySelectorAll("[data-chart-range]")];
      for (const button of this.buttons) {
        button.addEventListener("click", () => this.show(button.dataset.chartRange));
      }
      this.details = this.table.closest("details");
      this.details.addEventListener("toggle", () => this.fillTable());
      // The switch in the head takes the place of the summary, which serves where no script runs.
      const opener = root.querySelector("[data-chart-open]");
      this.details.querySelector("summary").hidden = true;
      opener.hidden = false;
      opener.addEventListener("click", () => {
        this.details.open = !this.details.open;
        opener.setAttribute("aria-expanded", String(this.details.open));
      });
      this.show(root.dataset.range);
    }

    address(base, range) {
      const url = new URL(base, location.href);
      url.searchParams.set("range", range);
      return url.href;
    }

    // The JSON behind the chart; a TypeError or SyntaxError when there is none to be had.
    async ask(range, more) {
      const url = new URL(this.address(this.root.dataset.chart, range));
      for (const name of more) url.searchParams.set(name, "1");
      const answer = await fetch(url, { credentials: "same-origin" });
      const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      if (!answer.ok || !isJson) throw new TypeError(`HTTP ${answer.status}`);
      return answer.json();
    }

    async show(range) {
      this.range = range;
      for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.chartRange === range));
      if (this.csv) this.csv.href = this.address(this.csv.href, range);
      const asked = (this.asked += 1);
      this.root.setAttribute("aria-busy", "true");
      try {
        const data = await this.ask(range, []);
        // A slower, earlier answer must not replace a later choice.
        if (asked === this.asked) this.draw(data);
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
        if (asked === this.asked) this.say(this.strings.failed);
      } finally {
        if (asked === this.asked) this.root.setAttribute("aria-busy", "false");
      }
    }

    clear() {
      for (const pane of this.panes) pane.destroy();
      this.panes = [];
      this.body.replaceChildren();
      this.legend.replaceChildren();
    }

    say(sentence) {
      this.clear();
      this.data = null;
      this.body.append(element("p", "chart-empty", sentence));
      this.note.textContent = "";
    }

    draw(data) {
      this.data = data;
      if (!data.datasets.length && !data.gaps.length) {
        this.say(this.strings.empty);
        this.fillTable();
        return;
      }
      this.clear();
      this.theme = colours();
      this.zone = clock(data.timeZone);
      const groups = ["price", "stock"]
        .map((pane) => [pane, data.datasets.filter((each) => each.pane === pane)])
        .filter(([, datasets]) => datasets.length);
      if (!groups.length) groups.push(["price", []]);
      const notes = [];
      groups.forEach(([pane, datasets], index) => {
        this.pane(pane, datasets, index === 0, index === groups.length - 1, notes);
      });
      this.drawLegend();
      if (data.datasets.some((each) => each.data.some((_value, index) => this.covers(each, index)))) notes.push(this.strings.samePrice);
      if (data.note) notes.push(data.note);
      this.note.textContent = notes.join(" · ");
      this.fillTable();
    }

    // How many lines lie on this one from a point to the next: those drawn over it that hold the same value.
    covers(dataset, index) {
      if (dataset.fact || dataset.data[index] === null) return 0;
      const above = this.data.datasets.slice(0, this.data.datasets.indexOf(dataset));
      return above.filter((each) => each.pane === dataset.pane && each.data[index] === dataset.data[index]).length;
    }

    style(dataset) {
      return dataset.fact ? FACTS[dataset.fact] : LINES[dataset.place];
    }

    valueText(dataset, index) {
      const value = dataset.data[index];
      if (value === null) return this.isUnread(dataset, this.data.labels[index]) ? this.strings.notRead : "—";
      return dataset.pane === "stock" ? value.toLocaleString("en-US") : this.amount(value, this.data.currency.digits);
    }

    isUnread(dataset, at) {
      return (dataset.gaps || this.data.gaps).some(([from, to]) => at >= from && at <= to);
    }

    amount(value, digits) {
      const number = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: Math.max(digits, 2) });
      return `${value < 0 ? "−" : ""}${this.data.currency.symbol}${number}`;
    }

    pane(name, datasets, isFirst, isLast, notes) {
      const { data, strings, theme } = this;
      let title = strings.price.replace("%(currency)s", data.currency.code);
      if (name === "stock") title = data.shelf.length && isLast ? strings.stockAndShelf : strings.stock;
      this.body.append(element("p", "chart-title", title));
      const frame = element("div", `chart-pane ${name}`);
      const canvas = element("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", data.summary);
      frame.append(canvas);
      this.body.append(frame);
      const chart = new Chart(canvas, {
        type: "line",
        data: { labels: data.labels, datasets: datasets.map((dataset) => this.dataset(dataset)) },
        options: this.options(name, isLast),
        plugins: [{ id: "evenshelf", beforeInit: (made) => {
          made.evenshelf = {
            data, strings, theme, isFirst, isLast, limits: this.limits.filter((limit) => limit.pane === name),
            valueText: (dataset, index) => this.valueText(dataset, index),
          };
        } }, unread, unreadLines, limits, loss, shelf, single],
      });
      this.panes.push(chart);
      if (name === "price" && chart.scales.y.min > 0) {
        notes.push(strings.axisStartsAt.replace("%(amount)s", this.tick(name, chart.scales.y.min)));
      }
    }

    dataset(dataset) {
      const { theme } = this;
      const style = this.style(dataset);
      const colour = theme.places[style.place];
      const isCompetitor = dataset.own === false;
      const isDot = dataset.data.filter((value) => value !== null).length <= 2;
      return {
        ...dataset,
        borderColor: colour,
        borderWidth: style.width,
        borderDash: style.dash,
        // What lies below others is drawn around them, so that lines of the same price are all seen.
        segment: { borderWidth: ({ p0DataIndex }) => style.width + COVERED_WIDTH * this.covers(dataset, p0DataIndex) },
        backgroundColor: style.isFilled ? translucent(colour, 0.15) : colour,
        fill: style.isFilled ? "origin" : false,
        stepped: "before",
        spanGaps: false,
        pointRadius: ({ dataIndex }) => {
          if (this.data.isSingle) return dataIndex === 0 ? 4 : 0;
          // A line holds a point for every change of any other line; only its own changes get a mark.
          const changed = dataset.data[dataIndex] !== dataset.data[dataIndex - 1];
          return changed && (isCompetitor || isDot) ? 3 : 0;
        },
        pointBackgroundColor: colour,
        pointHoverRadius: 4,
        pointHitRadius: 12,
      };
    }

    tick(name, value) {
      if (name === "stock") return value.toLocaleString("en-US");
      return this.amount(value, Number.isInteger(value) ? 0 : this.data.currency.digits);
    }

    options(name, isLast) {
      const { data, theme } = this;
      const hasShelf = isLast && data.shelf.length > 0;
      const below = hasShelf ? BAND_HEIGHT + 2 : withGaps(data.datasets).length * (STRIP_HEIGHT + 2);
      const isBelowZero = data.datasets.some((each) => each.pane === name && each.data.some((value) => value < 0));
      return {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        events: ["mousemove", "mouseout", "click", "touchstart", "touchmove"],
        layout: { padding: { right: 12, top: 6 } },
        scales: {
          x: {
            type: "linear",
            min: data.start,
            max: data.end,
            display: isLast,
            border: { display: false },
            grid: { display: false },
            afterBuildTicks: (axis) => {
              const room = data.end - data.start < 3 * DAY ? 96 : 44;
              const most = Math.max(1, Math.min(MAX_TICKS - 1, Math.floor((axis.chart.width - AXIS_WIDTH) / room)));
              axis.ticks = timeTicks(data.start, data.end, this.zone, most);
              this.labels = new Map(axis.ticks.map((each) => [each.value, each.label]));
            },
            ticks: {
              color: theme.text,
              autoSkip: false,
              maxRotation: 0,
              padding: below + 4,
              callback: (value) => this.labels.get(value) || "",
            },
          },
          y: {
            beginAtZero: name === "stock",
            grace: name === "stock" ? 0 : "8%",
            border: { display: false },
            grid: { color: theme.grid, drawTicks: false },
            afterDataLimits: (axis) => {
              // A price that hardly moved looks that way: the axis spans a fifth of it at least, evenly around the line.
              const missing = name === "price" ? (Math.abs(axis.max) / 5 - (axis.max - axis.min)) / 2 : 0;
              if (missing > 0) { axis.min -= missing; axis.max += missing; }
              // Room around the line must not turn into amounts below nothing.
              if (axis.min < 0 && !isBelowZero) axis.min = 0;
            },
            afterFit: (axis) => { axis.width = AXIS_WIDTH; },
            ticks: {
              color: theme.text,
              maxTicksLimit: name === "stock" ? 4 : MAX_TICKS,
              padding: 8,
              precision: name === "stock" ? 0 : undefined,
              callback: (value) => this.tick(name, value),
            },
          },
        },
        plugins: {
          legend: { display: false },
          tooltip: {
            backgroundColor: theme.card,
            borderColor: theme.border,
            borderWidth: 1,
            titleColor: theme.loud,
            bodyColor: theme.loud,
            padding: 10,
            cornerRadius: 6,
            usePointStyle: true,
            boxWidth: 8,
            filter: (item, position, items) => items.findIndex((each) => each.datasetIndex === item.datasetIndex) === position,
            callbacks: {
              title: (items) => (items.length ? this.zone.full(data.labels[items[0].dataIndex]) : ""),
              label: (item) => `${item.dataset.label}: ${this.valueText(item.dataset, item.dataIndex)}`,
              labelPointStyle: () => ({ pointStyle: "rectRounded", rotation: 0 }),
            },
          },
        },
      };
    }

    drawLegend() {
      const { data, strings } = this;
      const shown = data.datasets.map((dataset) => ({ label: dataset.label, ...this.style(dataset), own: dataset.own }));
      const states = [...new Set(data.shelf.map((band) => band[2]))].sort(
        (one, other) => SHELF_ORDER.indexOf(one) - SHELF_ORDER.indexOf(other));
      if ((data.gaps.length || withGaps(data.datasets).length) && !states.includes("not_read")) states.push("not_read");
      if (shown.length + states.length < 2 && shown.every((line) => line.own === undefined)) return;
      for (const line of shown) {
        const sample = svg("svg", { class: "sample", viewBox: "0 0 24 10", width: 24, height: 10, "aria-hidden": "true" });
        sample.append(svg("line", {
          class: `c${line.place}`, x1: 0, y1: 5, x2: 24, y2: 5,
          "stroke-width": line.width, "stroke-dasharray": line.dash.join(" ") || "none",
        }));
        if (line.own === false) sample.append(svg("circle", { class: `c${line.place} dot`, cx: 12, cy: 5, r: 2.5 }));
        this.entry(sample, line.label);
      }
      for (const state of states) {
        const sample = svg("svg", { class: "sample", viewBox: "0 0 14 10", width: 14, height: 10, "aria-hidden": "true" });
        sample.append(svg("rect", { class: `band-${state}`, width: 14, height: 10, rx: 2 }));
        if (state === "not_read" || state === "unknown") {
          sample.append(svg("path", { class: "band-hatch", d: "M0 10L10 0M5 10L14 1M-5 10L5 0M10 10L14 6" }));
        }
        this.entry(sample, strings.shelf[state]);
      }
    }

    entry(sample, label) {
      const entry = element("li");
      entry.append(sample, label);
      this.legend.append(entry);
    }

    // Some hundred rows are only fetched and made when somebody opens the table.
    async fillTable() {
      if (!this.details.open || !this.data) return;
      const drawn = this.data;
      let answer;
      try {
        answer = await this.ask(this.range, ["table"]);
      } catch (error) {
        if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
        this.table.replaceChildren(element("caption", "", this.strings.failed));
        return;
      }
      if (drawn !== this.data) return;
      const { head, rows, caption } = answer.table;
      const headRow = element("tr");
      for (const label of head) {
        const cell = element("th", "", label);
        cell.scope = "col";
        headRow.append(cell);
      }
      const thead = element("thead");
      thead.append(headRow);
      const tbody = element("tbody");
      for (const row of rows) {
        const line = element("tr");
        for (const text of row) line.append(element("td", "", text));
        tbody.append(line);
      }
      this.table.replaceChildren(element("caption", "", caption), thead, tbody);
    }
  }

  function redraw() {
    for (const chart of charts) if (chart.data) chart.draw(chart.data);
  }

  function begin() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    for (const root of document.querySelectorAll("[data-chart]")) charts.push(new EvenshelfChart(root));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();

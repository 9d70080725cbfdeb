// Parts of the explorers: icon buttons, a logarithmic slider, a point that can be moved.

import { element, formatNumber, slider } from "./page.js";

const ICONS = {
  play: "M5 3v14l12-7z",
  pause: "M5 3h4v14H5zM11 3h4v14h-4z",
  step: "M4 3v14l9-7zM14 3h3v14h-3z",
  restart: "M10 3a7 7 0 1 1-6.7 5h2.2A5 5 0 1 0 10 5v3L5 4l5-4z",
  dice: "M4 2h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zM6.5 5a1.5 1.5 0 1 0 0 3 "
    + "1.5 1.5 0 0 0 0-3zM13.5 12a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zM10 8.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  clear: "M5.4 4L10 8.6 14.6 4 16 5.4 11.4 10l4.6 4.6-1.4 1.4-4.6-4.6L5.4 16 4 14.6 8.6 10 4 5.4z",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", "aria-hidden": "true", class: "ebm-icon" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

/** A button with an icon and its name; `bare` shows the icon alone. `set([icon, name])` changes it. */
export function button(iconName, name, press, bare = false) {
  const made = element("button", { type: "button", class: "ebm-button", click: press });
  made.set = ([newIcon, newName]) => {
    made.replaceChildren(icon(newIcon), ...(bare ? [] : [newName]));
    if (bare) {
      made.setAttribute("aria-label", newName);
      made.title = newName;
    }
  };
  made.set([iconName, name]);
  return made;
}

/** A slider of equal ratios from `low` to `high`, a hundred positions to a factor of ten. */
export function logSlider(label, low, high, change) {
  return slider({
    label, change, min: Math.round(100 * Math.log10(low)), max: Math.round(100 * Math.log10(high)), step: 1,
    toText: (value) => formatNumber(value),
    fromPosition: (position) => Number((10 ** (position / 100)).toPrecision(3)),
    toPosition: (value) => Math.round(100 * Math.log10(value)),
  });
}

/** The frame of a plot of positions, and the demonstrations in it. */
export function drawDemonstrations(plot, colours, data) {
  plot.axes(colours, ["x₁", "x₂"]);
  const alpha = data.paths.length > 8 ? 0.45 : 0.9;
  plot.clipped(() => data.paths.forEach((path) => plot.line(path, { colour: colours.demo, alpha })));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** A point on a plot that mouse, finger and arrow keys move; Home takes it back. */
export class Handle {
  /**
   * @param {object} options name; moved([x, y]); home(); stride() of an arrow key;
   *   pressed(), optional, for Enter and Space; onCanvas, whether a click beside it moves it there
   */
  constructor(plot, { name, moved, home, stride, pressed = null, jump = moved }) {
    Object.assign(this, { plot, name, moved, stride, position: [0, 0] });
    this.box = element("button", {
      type: "button", class: "ebm-handle", "aria-roledescription": "movable point",
      "aria-label": name, keydown: (event) => this.#key(event, home),
    });
    if (pressed) this.box.addEventListener("click", (event) => event.detail === 0 && pressed());
    let grip = null; // from the pointer to the point, while it is dragged
    this.box.addEventListener("pointerdown", (event) => {
      this.box.setPointerCapture(event.pointerId);
      const [x, y] = this.#under(event);
      grip = [this.position[0] - x, this.position[1] - y];
    });
    this.box.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const [x, y] = this.#under(event);
      this.#move([x + grip[0], y + grip[1]]);
    });
    for (const end of ["pointerup", "pointercancel"]) this.box.addEventListener(end, () => (grip = null));
    plot.canvas.addEventListener("click", (event) => {
      if (!this.box.hidden) jump(this.#inside(this.#under(event)));
    });
  }

  #under(event) {
    const { left, top } = this.plot.canvas.getBoundingClientRect();
    return this.plot.at(event.clientX - left, event.clientY - top);
  }

  /** The nearest point in view, in numbers short enough to read. */
  #inside(point) {
    const { centre, half } = this.plot.view;
    return point.map((v, i) => Number(Math.min(Math.max(v, centre[i] - half), centre[i] + half).toFixed(4)));
  }

  #move(point) {
    this.position = this.#inside(point); // at once: the next key may come before the next frame
    this.moved(this.position);
  }

  #key(event, home) {
    if (event.key === "Home") {
      home();
    } else if (ARROWS[event.key]) {
      const stride = this.stride() * (event.shiftKey ? 8 : 1);
      this.#move(this.position.map((v, i) => v + stride * ARROWS[event.key][i]));
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Put it at a point of the plane. */
  place(point) {
    this.position = [...point];
    this.box.style.left = `${this.plot.x(point[0])}px`;
    this.box.style.top = `${this.plot.y(point[1])}px`;
    this.box.setAttribute("aria-label", `${this.name} at ${point.map((v) => formatNumber(v, 2)).join(", ")}; arrow keys move it, with Shift further`);
  }
}

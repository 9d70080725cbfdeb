// The pen: mouse, stylus, finger or keyboard on a canvas become strokes.

import { StrokeRecorder } from "./strokes.js";

export const AREA = { width: 600, height: 576 }; // the drawing area in its own units
const SPEED = 0.15; // units per millisecond with the arrow keys
const TAP = 20; // milliseconds of movement that one press of an arrow key is worth at least
const COURSE = { // y downwards, as on the canvas
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

const within = (value, most) => Math.min(most, Math.max(0, value));

export class Pen {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} on stroke(stroke or null) when the pen is lifted, down(), change() when something
   *   is to be drawn again
   */
  constructor(canvas, on) {
    Object.assign(this, { canvas, on, current: null, pointer: null, keys: new Set(), frame: 0, ahead: 0 });
    this.byKeyboard = true; // who held it last
    this.position = [AREA.width / 2, AREA.height / 2]; // of the keyboard's pen, y downwards
    this.clock = 0; // of the keyboard's pen: runs while it moves
    const listen = (type, act) => canvas.addEventListener(type, (event) => act.call(this, event));
    listen("pointerdown", this.pointerDown);
    listen("pointermove", this.pointerMove);
    listen("pointerup", this.pointerUp);
    listen("pointercancel", this.pointerUp);
    listen("lostpointercapture", this.pointerUp);
    listen("keydown", this.keyDown);
    listen("keyup", this.keyUp);
    listen("focus", on.change);
    listen("blur", this.lift);
  }

  /** The points of the stroke under way. */
  get points() {
    return this.current?.points ?? [];
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      within(((event.clientX - box.left) * AREA.width) / box.width, AREA.width),
      within(((event.clientY - box.top) * AREA.height) / box.height, AREA.height),
    ];
  }

  sample([x, y], t) {
    this.current.add(x, -y, t);
  }

  pointerDown(event) {
    if (!event.isPrimary || event.button !== 0) return;
    this.lift();
    this.byKeyboard = false;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.current = new StrokeRecorder();
    this.sample(this.place(event), event.timeStamp);
    this.on.down();
  }

  pointerMove(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.sample(this.place(each), each.timeStamp);
    this.on.change();
  }

  pointerUp(event) {
    if (event.pointerId === this.pointer) this.lift();
  }

  keyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.pointer === null) this.byKeyboard = true;
    if (event.key === " ") {
      event.preventDefault();
      if (event.repeat || this.pointer !== null) return;
      if (this.current) {
        this.lift();
      } else {
        this.current = new StrokeRecorder();
        this.clock = 0;
        this.sample(this.position, this.clock);
        this.on.down();
      }
    } else if (event.key === "Escape" && this.current) {
      this.lift();
    } else if (COURSE[event.key]) {
      event.preventDefault();
      if (this.keys.has(event.key)) return;
      this.keys.add(event.key);
      this.move(TAP);
      this.ahead = TAP;
      if (!this.frame) this.run(performance.now());
    }
  }

  keyUp(event) {
    this.keys.delete(event.key);
  }

  /** Move on with the pressed keys, frame by frame. */
  run(before) {
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      if (!this.keys.size) return;
      const passed = Math.max(0, now - before);
      this.move(Math.max(0, passed - this.ahead));
      this.ahead = Math.max(0, this.ahead - passed);
      this.run(now);
    });
  }

  move(milliseconds) {
    if (!(milliseconds > 0) || this.pointer !== null) return;
    let dx = 0, dy = 0;
    for (const key of this.keys) {
      dx += COURSE[key][0];
      dy += COURSE[key][1];
    }
    const length = Math.hypot(dx, dy);
    if (!length) return;
    const step = (SPEED * milliseconds) / length;
    this.position = [
      within(this.position[0] + step * dx, AREA.width), within(this.position[1] + step * dy, AREA.height),
    ];
    this.clock += milliseconds;
    if (this.current) this.sample(this.position, this.clock);
    this.on.change();
  }

  lift() {
    this.keys.clear();
    const stroke = this.current?.finish();
    const drawn = this.current !== null;
    this.current = null;
    this.pointer = null;
    if (drawn) this.on.stroke(stroke);
    else this.on.change();
  }

  close() {
    cancelAnimationFrame(this.frame);
  }
}

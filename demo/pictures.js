// Pictures: a map of noises to drag on, the student's call, the teacher's steps, a strip of noises, a grid.
"use strict";

const part = (id) => document.getElementById(id);
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

const pictures = (() => {
  const [MAP, STRIP, GRID, GAP] = [7, 12, 24, 2]; // pictures of each; GAP: pixels between those of the map
  let model, student, teacher; // what is drawn, F(x, t, s) and v(x, t)
  let noiseAt; // (u, v) -> noise, for u and v from -1 to 1
  let [seed, otherSeed, gridSeed] = [1, 501, 2000];
  let [u, v] = [0, 0];
  let dragging = false;
  let epoch = 0; // what was begun in an earlier one is thrown away
  let drawn = null; // the noise, picture and milliseconds of the student's last picture
  const numbers = () => model.shape.reduce((a, b) => a * b);
  const calls = () => Number(document.querySelector("[name=calls]:checked").value);

  /** Channels [C, H, W] in [-1, 1] as pixels; one channel is grey. */
  function pixels(x) {
    const [channels, height, width] = model.shape;
    const image = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * i + c] = 127.5 * (x[i + (c % channels) * height * width] + 1);
      }
      image.data[4 * i + 3] = 255;
    }
    return image;
  }

  function paint(canvas, x) {
    [canvas.height, canvas.width] = model.shape.slice(1);
    canvas.getContext("2d").putImageData(pixels(x), 0, 0);
  }

  /** What the student makes of a noise, and the milliseconds of its calls. */
  async function oneOf(noise) {
    const start = performance.now();
    let picture;
    for await (picture of carried(student, noise, calls()));
    return { noise, picture, ms: performance.now() - start };
  }

  // Each job of the page says whether it is due, and does a piece of it that takes a call or a few.
  const current = {
    stale: true,
    due: () => current.stale,
    async step() {
      current.stale = false;
      const [mine, result] = [epoch, await oneOf(noiseAt(u, v))];
      if (mine !== epoch) return;
      drawn = result;
      paint(part("student"), drawn.picture);
      part("student-line").textContent = `${count(calls(), "call")}, ${drawn.ms.toFixed(0)} ms`;
    },
  };

  // The teacher goes on with a noise that was moved meanwhile: a long drag shows how far behind it is.
  const solving = {
    stale: true, states: null, done: 0, ms: 0,
    due: () => solving.states !== null || solving.stale,
    async step() {
      if (!solving.states || (solving.stale && !dragging)) {
        const steps = Number(part("steps").value);
        Object.assign(solving, { stale: false, steps, done: 0, ms: 0 });
        solving.states = carried(teacher, noiseAt(u, v), steps);
      }
      const [mine, start, own] = [epoch, performance.now(), solving.states];
      const { value } = await own.next();
      if (mine !== epoch || own !== solving.states) return;
      solving.ms += performance.now() - start;
      solving.done += 1;
      paint(part("teacher"), value);
      const over = solving.done === solving.steps;
      if (over) solving.states = null;
      part("teacher-line").textContent = over
        ? `${count(solving.steps, "call")}, ${solving.ms.toFixed(0)} ms`
        : `${solving.done} of ${solving.steps} calls${solving.stale ? ", behind" : ""}`;
    },
  };

  /** Many pictures of the student, one after another: noiseOf(i), then show(i, picture, noise). */
  function series(total, noiseOf, show, line) {
    const job = {
      next: 0, ms: 0,
      restart: () => Object.assign(job, { next: 0, ms: 0 }),
      due: () => job.next < total,
      async step() {
        const [mine, index] = [epoch, job.next++];
        const { noise, picture, ms } = await oneOf(noiseOf(index));
        if (mine !== epoch || job.next !== index + 1) return;
        show(index, picture, noise);
        job.ms += ms;
        if (line) part(line).textContent = `${count((index + 1) * calls(), "call")}, ${job.ms.toFixed(0)} ms`;
      },
    };
    return job;
  }

  const cell = (index) => (2 * index + 1) / MAP - 1;
  const map = series(MAP * MAP,
    (i) => noiseAt(cell(i % MAP), -cell(Math.floor(i / MAP))),
    (i, picture) => {
      const [, height, width] = model.shape;
      const place = part("pad").querySelector("canvas").getContext("2d");
      const [column, row] = [i % MAP, Math.floor(i / MAP)];
      place.putImageData(pixels(picture), column * (width + GAP) + GAP / 2, row * (height + GAP) + GAP / 2);
    });
  const strip = series(STRIP,
    (i) => slerp(noiseAt(u, v), normals(numbers(), otherSeed), i / (STRIP - 1)),
    (i, picture) => paint(part("strip").children[i], picture), "strip-line");
  const grid = series(GRID,
    (i) => normals(numbers(), gridSeed + i),
    (i, picture, noise) => {
      const button = part("grid").children[i];
      button.onclick = () => centre(noise);
      paint(button.firstChild, picture);
    }, "grid-line");

  let working = false;
  /** One job at a time, the student first, with a frame between them so that the page stays alive. */
  async function work() {
    if (working) return;
    working = true;
    try {
      for (let frame = performance.now(); ;) {
        const waiting = (dragging ? [solving] : [solving, map, strip, grid]).find((job) => job.due());
        if (!student || !(current.due() || waiting)) break;
        if (current.due()) await current.step();
        if (waiting) await waiting.step();
        if (performance.now() - frame > 12) {
          await new Promise(requestAnimationFrame);
          frame = performance.now();
        }
      }
    } catch (reason) {
      failed(reason);
    } finally {
      working = false;
    }
  }

  function moved() {
    part("handle").style.left = `${50 * (1 + u)}%`;
    part("handle").style.top = `${50 * (1 - v)}%`;
    part("place").textContent = `at ${u.toFixed(2)}, ${v.toFixed(2)}`;
    current.stale = solving.stale = true;
    strip.restart();
    work();
  }

  function move(toU, toV) {
    [u, v] = [toU, toV].map((value) => Math.max(-1, Math.min(1, value)));
    moved();
  }

  function centre(noise) {
    noiseAt = sphere(noise, normals(numbers(), seed + 100), normals(numbers(), seed + 200));
    map.restart();
    move(0, 0);
  }

  function redrawn() {
    map.restart();
    grid.restart();
    moved();
  }

  for (const [id, total, tag] of [["strip", STRIP, "canvas"], ["grid", GRID, "button"]]) {
    for (let i = 0; i < total; i++) {
      const one = part(id).appendChild(document.createElement(tag));
      if (tag !== "button") continue;
      one.setAttribute("aria-label", `Noise ${i + 1} into the middle of the map`);
      one.append(document.createElement("canvas"));
    }
  }

  const pad = part("pad");
  function follow(event) {
    const box = pad.getBoundingClientRect();
    move(2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height);
  }
  pad.addEventListener("pointerdown", (event) => {
    if (!student || event.button) return;
    pad.setPointerCapture(event.pointerId);
    dragging = true;
    follow(event);
  });
  pad.addEventListener("pointermove", (event) => dragging && follow(event));
  for (const end of ["pointerup", "pointercancel"]) {
    pad.addEventListener(end, () => {
      dragging = false;
      work();
    });
  }
  pad.addEventListener("keydown", (event) => {
    const size = event.shiftKey ? 0.02 : 0.1;
    const by = ARROWS[event.key]?.map((way) => way * size);
    if (by) move(u + by[0], v + by[1]);
    else if (event.key === "Home") move(0, 0);
    else return;
    event.preventDefault();
  });
  part("new-noise").onclick = () => {
    seed += 1;
    centre(normals(numbers(), seed));
  };
  part("other-end").onclick = () => {
    otherSeed += 1;
    strip.restart();
    work();
  };
  part("calls").onchange = part("label").onchange = redrawn;
  const stepsShown = () => (part("steps-value").textContent = part("steps").value);
  stepsShown();
  part("steps").oninput = () => {
    stepsShown();
    solving.states = null;
    solving.stale = true;
    work();
  };

  return {
    async show(chosen) {
      const mine = ++epoch;
      [model, student] = [chosen, null];
      solving.states = null;
      for (const one of part("grid").children) one.onclick = null; // its noise is of another size
      const black = new Float32Array(numbers()).fill(-1);
      for (const one of document.querySelectorAll(".picture, .cells canvas")) paint(one, black);
      for (const one of document.querySelectorAll("#pictures .line")) one.textContent = "loading";
      const [height, width] = model.shape.slice(1);
      const [wide, high] = [MAP * (width + GAP), MAP * (height + GAP)];
      Object.assign(pad.querySelector("canvas"), { width: wide, height: high });
      part("label-choice").hidden = !model.labels.length;
      part("label").replaceChildren(...model.labels.map((name, i) => new Option(name, i)));
      const label = () => Number(part("label").value);
      const both = [model.student, model.teacher].map(({ name }) => networks.load(name, model.shape, label));
      const [first, second] = await Promise.all(both);
      if (mine !== epoch) return;
      [student, teacher] = [first, second];
      grid.restart();
      centre(normals(numbers(), seed));
    },
    hide() {
      epoch += 1;
      student = null;
    },
    /** What a test looks at. */
    state: () => ({ u, v, busy: working, teacher: solving.states === null, ...drawn }),
  };
})();

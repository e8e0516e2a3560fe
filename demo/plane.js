// Points in the plane: a teacher's field and paths, a student's jumps, and data that one paints.
"use strict";

const plane = (() => {
  // the plane is shown from -LIMIT to LIMIT; MOST: painted points
  const [LIMIT, PARTICLES, FRAMES, LATTICE, MOST] = [3.2, 500, 60, 17, 400];
  const canvas = part("plane");
  const context = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let model, teacher, student; // student is null for painted data
  let data = []; // [[x, y], ...]
  let own = null; // what was painted, or the example in its place
  let states = []; // of the particles, from noise on, as far as they were computed
  let landed = null; // where one call of the student takes all of them
  let sent = []; // { path: [[x, y], ...], jump: [x, y] or null } of each click
  let field = null;
  let [frame, playing, painting] = [0, false, false];
  let cross = [0, 0];
  let shown = false;
  let epoch = 0;
  let example = 0;
  const EXAMPLES = [
    (i) => { // a heart
      const a = 2 * Math.PI * i / 120;
      return [0.13 * 16 * Math.sin(a) ** 3,
        0.13 * (13 * Math.cos(a) - 5 * Math.cos(2 * a) - 2 * Math.cos(3 * a) - Math.cos(4 * a)) + 0.3];
    },
    (i) => { // two spirals
      const [w, side] = [Math.sqrt(Math.floor(i / 2) / 60), i % 2 ? 1 : -1];
      return [side * (0.3 + 1.9 * w) * Math.cos(9.42 * w), side * (0.3 + 1.9 * w) * Math.sin(9.42 * w)];
    },
    (i) => { // a smile
      const a = i < 70 ? 2 * Math.PI * i / 70 : Math.PI * (1.15 + 0.7 * (i - 90) / 30);
      if (i >= 70 && i < 90) return [(i % 2 ? 0.75 : -0.75), 0.6 + 0.03 * (i - 80)];
      return [(i < 70 ? 2.3 : 1.4) * Math.cos(a), (i < 70 ? 2.3 : 1.4) * Math.sin(a)];
    },
  ];

  const tool = () => document.querySelector("[name=tool]:checked").value;
  const time = () => 1 - frame / FRAMES;
  const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const toPixel = ([x, y]) => [(x / LIMIT + 1) * canvas.width / 2, (1 - y / LIMIT) * canvas.height / 2];
  const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

  function dots(points, colour, radius, alpha = 1) {
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    for (const point of points) {
      const [x, y] = toPixel(point);
      context.beginPath();
      context.arc(x, y, radius * canvas.width / 540, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  function line(points, colour, width, { alpha = 1, dashed = [] } = {}) {
    const unit = canvas.width / 540;
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.setLineDash(dashed.map((length) => length * unit));
    context.beginPath();
    points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...toPixel(point)));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  function arrows() {
    const unit = 2 * LIMIT / LATTICE;
    for (let i = 0; i < field.length; i += 2) {
      const speed = Math.hypot(field[i], field[i + 1]);
      // the way that a particle goes: against v, as t falls from noise to data
      const length = 0.34 * unit * Math.tanh(speed / 2) / (speed || 1);
      const [x, y] = [lattice[i], lattice[i + 1]];
      const [dx, dy] = [-field[i] * length, -field[i + 1] * length];
      line([[x - dx, y - dy], [x + dx, y + dy]], shade("--field"), 1, { alpha: 0.6 });
      dots([[x + dx, y + dy]], shade("--field"), 1.7, 0.6);
    }
  }

  const lattice = new Float32Array(2 * LATTICE ** 2).map((_, i) => {
    const index = Math.floor(i / 2);
    const along = i % 2 ? Math.floor(index / LATTICE) : index % LATTICE;
    return LIMIT * ((2 * along + 1) / LATTICE - 1);
  });

  function draw() {
    if (!shown) return;
    const size = Math.round(canvas.clientWidth * Math.min(2, devicePixelRatio));
    if (canvas.width !== size) canvas.width = canvas.height = size;
    context.clearRect(0, 0, size, size);
    if (field) arrows();
    dots(data, shade("--data"), model.data.length ? 1.8 : 3.2, model.data.length ? 0.6 : 0.9);
    if (states[frame]) {
      const share = `${Math.round(100 * time())}%`;
      const noisy = `color-mix(in srgb, ${shade("--noise")} ${share}, ${shade("--teacher-text")})`;
      dots(pairs(states[frame]), noisy, 2.3, 0.8);
    }
    if (landed && part("landed").checked) dots(pairs(landed), shade("--student-text"), 2.1, 0.75);
    for (const { path, jump } of sent) {
      line(path, shade("--teacher-text"), 2.5);
      dots(path.slice(1, -1), shade("--teacher-text"), 2.6);
      dots([path.at(-1)], shade("--teacher-text"), 6);
      if (jump) {
        line([path[0], jump], shade("--student-text"), 2.5, { dashed: [7, 5] });
        dots([jump], shade("--student-text"), 6);
      }
      dots([path[0]], shade("--ink"), 6.5);
      dots([path[0]], shade("--noise"), 5);
    }
    if (document.activeElement === canvas) {
      const [[x, y], arm] = [cross, 0.15];
      line([[x - arm, y], [x + arm, y]], shade("--ink"), 2);
      line([[x, y - arm], [x, y + arm]], shade("--ink"), 2);
    }
    part("time-value").textContent = `t = ${time().toFixed(2)}`;
    part("time").value = frame;
    part("play").textContent = playing ? "Pause" : "Play";
  }

  /** Particles up to this frame, and the field there. */
  async function reach(wanted) {
    const mine = epoch;
    while (states.length <= wanted) {
      const last = states.length - 1;
      const velocity = await teacher(states[last], 1 - last / FRAMES);
      if (mine !== epoch) return;
      states.push(mixed(states[last], 1, velocity, -1 / FRAMES));
    }
    const found = await teacher(lattice, 1 - wanted / FRAMES);
    if (mine === epoch) [frame, field] = [wanted, found];
  }

  let busy = false;
  async function tick() {
    tick.runs = shown;
    if (!shown) return;
    if (!busy && playing && data.length) {
      busy = true;
      if (tick.rest > 0) tick.rest -= 1;
      else {
        await reach(frame < FRAMES ? frame + 1 : 0);
        if (frame === FRAMES || frame === 0) tick.rest = 50; // a while to look
      }
      busy = false;
      draw();
    }
    requestAnimationFrame(tick);
  }
  tick.rest = 20;

  async function send(point) {
    const mine = epoch;
    const path = [point];
    const steps = Number(part("plane-steps").value);
    const start = performance.now();
    for await (const x of carried(teacher, Float32Array.from(point), steps)) path.push([...x]);
    const walked = performance.now() - start;
    let [jump, jumped] = [null, 0];
    if (student) {
      for await (const x of carried(student, Float32Array.from(point), 1)) jump = [...x];
      jumped = performance.now() - start - walked;
    }
    if (mine !== epoch) return;
    sent = [...sent.slice(-7), { path, jump }];
    const told = `Teacher: ${count(steps, "call")}, ${walked.toFixed(1)} ms.`;
    part("plane-line").textContent = jump ? `${told} Student: 1 call, ${jumped.toFixed(1)} ms.` : told;
    draw();
  }

  /** New data or a new model: everything that was computed of the old one is thrown away. */
  async function renewed() {
    epoch += 1;
    [field, landed, sent, frame, tick.rest] = [null, null, [], 0, 20];
    states = [normals(2 * PARTICLES, 7)];
    if (data.length) {
      const mine = epoch;
      await reach(0);
      if (student) {
        for await (const x of carried(student, states[0], 1)) if (mine === epoch) landed = x;
      }
    }
    draw();
  }

  async function paintAt(point) {
    if (model !== OWN) await choose(OWN, own ?? []);
    if (data.length === MOST) {
      part("plane-line").textContent = `${MOST} points are enough: clear them to begin anew.`;
      return;
    }
    data.push(point);
    part("plane-line").textContent = count(data.length, "point");
    await renewed();
  }

  const clicked = (point) => (tool() === "paint" ? paintAt(point) : data.length && send(point));
  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [2 * (event.clientX - box.left) / box.width - 1, 1 - 2 * (event.clientY - box.top) / box.height]
      .map((share) => LIMIT * Math.max(-1, Math.min(1, share)));
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (!shown || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    painting = tool() === "paint";
    cross = place(event);
    clicked(cross);
  });
  canvas.addEventListener("pointermove", (event) => {
    const here = place(event);
    if (!painting || Math.hypot(here[0] - cross[0], here[1] - cross[1]) < 0.12) return;
    cross = here;
    paintAt(here);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (painting = false));
  canvas.addEventListener("keydown", (event) => {
    const size = event.shiftKey ? 0.05 : 0.2;
    const by = ARROWS[event.key]?.map((way) => way * size);
    if (by) cross = cross.map((value, i) => Math.max(-LIMIT, Math.min(LIMIT, value + by[i])));
    else if (event.key === "Enter" || event.key === " ") clicked(cross);
    else return;
    event.preventDefault();
    draw();
  });
  for (const change of ["focus", "blur"]) canvas.addEventListener(change, () => shown && draw());
  part("play").onclick = () => {
    playing = !playing;
    draw();
  };
  part("time").oninput = async () => {
    playing = false;
    if (shown && data.length) await reach(Number(part("time").value));
    draw();
  };
  const stepsShown = () => (part("plane-steps-value").textContent = part("plane-steps").value);
  stepsShown();
  part("plane-steps").oninput = async () => {
    stepsShown();
    const again = sent.map(({ path }) => path[0]);
    sent = [];
    for (const point of again) await send(point);
  };
  part("landed").onchange = draw;
  part("clear").onclick = () => {
    own = data = [];
    document.querySelector("[name=tool][value=paint]").checked = true;
    part("plane-line").textContent = "Paint some points: they are the data.";
    renewed();
  };
  part("example").onclick = () => choose(OWN, examplePoints(++example));
  const examplePoints = (index) =>
    Array.from({ length: 120 }, (_, i) => EXAMPLES[index % EXAMPLES.length](i));
  addEventListener("resize", () => shown && draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw());

  return {
    async show(chosen, painted = own ?? examplePoints(example)) {
      const mine = ++epoch;
      const isOwn = !chosen.data.length;
      if (!isOwn) {
        const both = [chosen.teacher, chosen.student].map(({ name }) => networks.load(name, chosen.shape));
        [teacher, student] = await Promise.all(both);
        if (mine !== epoch) return;
        data = chosen.data;
      } else {
        own = data = painted;
        student = null;
        teacher = async (x, t) => pointVelocity(data.flat(), x, t);
      }
      model = chosen;
      for (const id of ["student-key", "landed"]) part(id).closest("li, label").hidden = isOwn;
      part("painting").hidden = !isOwn;
      part("plane-line").textContent = "Click anywhere: the point there is noise.";
      document.querySelector(`[name=models][value="${CSS.escape(chosen.title)}"]`).checked = true;
      [playing, shown] = [!still.matches, true];
      await renewed();
      if (!tick.runs) tick();
    },
    hide() {
      epoch += 1;
      shown = false;
    },
    /** What a test looks at. */
    state: () => ({ sent, data: data.length, frame, playing }),
  };
})();

// The mathematics of the page, and the networks that it asks. t = 0 is data, t = 1 is noise.
"use strict";

/** Standard normal numbers that depend on the seed alone (mulberry32, then Box-Muller). */
function normals(n, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: n }, () =>
    Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const norm = (a) => Math.sqrt(dot(a, a));
const mixed = (a, x, b, y) => a.map((value, i) => x * value + y * b[i]);

/** A map of noises as long as `centre`, at (0, 0); at (1, 0) and (0, 1) they are orthogonal to it. */
function sphere(centre, right, up) {
  const size = norm(centre);
  const axes = [];
  for (const direction of [right, up]) {
    const clear = [centre, ...axes].reduce(
      (left, other) => mixed(left, 1, other, -dot(left, other) / dot(other, other)), direction);
    axes.push(mixed(clear, size / norm(clear), clear, 0));
  }
  return (u, v) => {
    const far = Math.hypot(u, v);
    if (far === 0) return centre;
    const direction = mixed(axes[0], u / far, axes[1], v / far);
    return mixed(centre, Math.cos(far * Math.PI / 2), direction, Math.sin(far * Math.PI / 2));
  };
}

/** Spherical interpolation from a (w = 0) to b (w = 1): the norm goes from that of a to that of b. */
function slerp(a, b, w) {
  const [sizeA, sizeB] = [norm(a), norm(b)];
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / (sizeA * sizeB))));
  if (angle < 1e-6) return mixed(a, 1 - w, b, w);
  const size = (1 - w) * sizeA + w * sizeB;
  const share = (part) => size * Math.sin(part * angle) / Math.sin(angle);
  return mixed(a, share(1 - w) / sizeA, b, share(w) / sizeB);
}

/**
 * From t = 1 to t = 0 in even steps, one call each: x + (s - t) f(x, t, s). With a student's average velocity
 * these are its jumps, with a teacher's velocity Euler's method. Gives the state after each step as it comes.
 */
async function* carried(f, x, steps) {
  for (let step = 0; step < steps; step++) {
    const [t, s] = [1 - step / steps, 1 - (step + 1) / steps];
    x = mixed(x, 1, await f(x, t, s), s - t);
    yield x;
  }
}

/**
 * The exact teacher of a finite set of points in the plane, v(x, t) = E[x1 - x0 | x_t = x], which is
 * (x - E[x0 | x_t = x]) / t. With x_t = t x1 + (1 - t) x0 and Gaussian x1, a point p has the weight
 * exp(-|x - (1 - t) p|^2 / (2 t^2)) in that mean.
 * points and x are [x, y, x, y, ...]; times below 0.001 count as 0.001, as v has a pole at t = 0.
 */
function pointVelocity(points, x, t) {
  t = Math.max(t, 1e-3);
  const result = new Float32Array(x.length);
  const distances = new Float64Array(points.length / 2);
  for (let i = 0; i < x.length; i += 2) {
    let nearest = Infinity;
    for (let k = 0; k < distances.length; k++) {
      distances[k] = (x[i] - (1 - t) * points[2 * k]) ** 2 + (x[i + 1] - (1 - t) * points[2 * k + 1]) ** 2;
      nearest = Math.min(nearest, distances[k]);
    }
    let [total, meanX, meanY] = [0, 0, 0];
    for (let k = 0; k < distances.length; k++) {
      const weight = Math.exp((nearest - distances[k]) / (2 * t * t));
      total += weight;
      meanX += weight * points[2 * k];
      meanY += weight * points[2 * k + 1];
    }
    result[i] = (x[i] - meanX / total) / t;
    result[i + 1] = (x[i + 1] - meanY / total) / t;
  }
  return result;
}

/** Networks by name, each loaded once. */
const networks = {
  _runtime: null,
  _loaded: {},
  _last: Promise.resolve(),

  /** One call of the runtime at a time: two that overlap break each other. */
  _alone(work) {
    const turn = this._last.then(work);
    this._last = turn.catch(() => {});
    return turn;
  },

  _script(file) {
    return new Promise((done, failed) => {
      const tag = document.createElement("script");
      tag.src = file;
      tag.onload = done;
      tag.onerror = () => failed(new Error(`the file ${file} is missing`));
      document.head.append(tag);
    });
  },

  async _start() {
    await Promise.all(["ort.js", "runtime.js"].map(this._script));
    const { wasm, glue } = window.RUNTIME.parts;
    const packed = new Blob([bytes(wasm)]).stream().pipeThrough(new DecompressionStream("gzip"));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await new Response(packed).arrayBuffer();
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([glue], { type: "text/javascript" })) };
  },

  async _session(name) {
    this._runtime ??= this._start();
    await Promise.all([this._runtime, this._script(`${name}.js`)]);
    const content = bytes(window.NETWORKS[name]);
    const create = () => ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
    const session = await this._alone(create);
    delete window.NETWORKS[name];
    return session;
  },

  /** f(x, t, s) of a network on a batch x of samples of this shape; label(): a class, if it has classes. */
  async load(name, shape, label = () => 0) {
    const session = await (this._loaded[name] ??= this._session(name));
    const numbers = shape.reduce((a, b) => a * b);
    const call = async (x, t, s) => {
      const n = x.length / numbers;
      const filled = (value) => new ort.Tensor("float32", new Float32Array(n).fill(value), [n]);
      const all = {
        x: new ort.Tensor("float32", x, [n, ...shape]),
        t: filled(t),
        s: filled(s),
        label: new ort.Tensor("int64", new BigInt64Array(n).fill(BigInt(label())), [n]),
      };
      const inputs = Object.fromEntries(session.inputNames.map((input) => [input, all[input]]));
      return (await this._alone(() => session.run(inputs))).v.data;
    };
    // the first calls are slow: memory is taken, and the browser still compiles
    for (let i = 0; i < 4; i++) await call(new Float32Array(numbers), 1, 0);
    return call;
  },
};

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

if (typeof module !== "undefined") module.exports = { normals, norm, sphere, slerp, carried, pointVelocity };

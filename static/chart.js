// Lines over the last minutes, as SVG. A chart knows nothing of what it shows: numbers or null,
// oldest first, each with its time.

const SVG = "http://www.w3.org/2000/svg";

export const WINDOW_MS = 5 * 60 * 1000;
const HOLE_MS = 3500; // two samples that are further apart are not connected

/** An element with a class and, perhaps, text. */
export function make(name, className, text) {
	const made = document.createElement(name);
	made.className = className;
	if (text !== undefined)
		made.textContent = text;
	return made;
}

/** An SVG element with attributes. */
export function draw(name, attributes) {
	const made = document.createElementNS(SVG, name);
	for (const [attribute, value] of Object.entries(attributes))
		made.setAttribute(attribute, value);
	return made;
}

// By the base of a scale: what is a round number, times a power of the base.
const STEPS = {
	10: [1, 2, 5, 10],
	60: [1, 2, 5, 10, 20, 30, 60],
	1024: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
};

function roundUp(number, base) {
	const power = base ** Math.floor(Math.log(number) / Math.log(base));
	return power * STEPS[base].find((step) => step * power >= number * 0.9999);
}

// How far back a chart reaches: whole minutes, as many as there are samples for.
function minutesOf(samples) {
	const spanMs = samples[samples.length - 1].time - samples[0].time;
	return Math.max(1, Math.min(Math.ceil(spanMs / 60000), WINDOW_MS / 60000));
}

/** The time at a place between the left end of a plot, 0, and its right end, 1. */
export function timeAt(samples, place) {
	return samples[samples.length - 1].time - minutesOf(samples) * 60000 * (1 - place);
}

export class Chart {
	/*
	 * lines: one or two names, "" where the title says enough. format turns a number into words;
	 * the top of the scale is at least `least`, and round in powers of `base`.
	 */
	constructor({ id, title, lines, format, least, base = 10, top }) {
		Object.assign(this, { title, lines, format, least, base, top });
		this.element = make("section", "card");
		this.element.id = id;
		this._values = lines.map((name) => {
			const value = make("p", "value");
			value.append(new Text("–"), ...(name ? [make("span", "", name)] : []));
			return value;
		});
		this._svg = draw("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" });
		this._paths = lines.map((name, i) => draw("path", { class: i ? "second" : "first" }));
		this._area = draw("path", { class: "area" });
		this._cursor = draw("line", { class: "cursor", y1: 0, y2: 100, visibility: "hidden" });
		this._svg.append(draw("line", { x1: 0, x2: 1000, y1: 0, y2: 0 }),
			draw("line", { x1: 0, x2: 1000, y1: 100, y2: 100 }),
			this._area, ...this._paths, this._cursor);
		this._top = make("p", "");
		const values = make("div", "values");
		values.append(...this._values);
		const plot = make("div", "plot");
		plot.append(this._svg, this._top);
		const times = make("div", "times");
		this._begin = make("span", "");
		times.append(this._begin, make("span", "", "now"));
		this.element.append(make("h2", "", title), values, plot, times);
	}

	/* samples: { time, values: [number or null, …] }; at: which of them is looked at. */
	show(samples, at, isNow) {
		const end = samples[samples.length - 1].time;
		const minutes = minutesOf(samples);
		const x = (time) => 1000 * (1 - (end - time) / (minutes * 60000));
		const most = Math.max(0, ...samples.flatMap(({ values }) => values));
		const top = this.top || roundUp(Math.max(most, this.least), this.base);
		const words = samples[at].values.map((value) => value === null ? "–" : this.format(value));
		this._top.textContent = this.format(top);
		this._begin.textContent = minutes > 1 ? `${minutes} minutes ago` : "a minute ago";
		this._values.forEach((value, i) => { value.firstChild.data = words[i]; });
		this._paths.forEach((path, i) => path.setAttribute("d", trace(samples, i, x, top).join("")));
		this._area.setAttribute("d", trace(samples, 0, x, top, true).join(""));
		this._cursor.setAttribute("x1", x(samples[at].time));
		this._cursor.setAttribute("x2", x(samples[at].time));
		this._cursor.setAttribute("visibility", isNow ? "hidden" : "visible");
		this._svg.setAttribute("aria-label", this.lines.map((name, i) =>
			`${this.title}${name ? `, ${name}` : ""}: ${words[i]}`).join("; ") +
			`; at most ${this.format(most)} in the last five minutes`);
	}
}

// The line number i as pieces of a path, each from a hole to the next; closed along the bottom where
// it is the edge of an area.
function trace(samples, i, x, top, closed) {
	const pieces = [];
	let last = null;
	const close = () => {
		if (last && closed)
			pieces.push(`L${x(last.time).toFixed(1)} 100Z`);
	};
	for (const sample of samples) {
		const value = sample.values[i];
		if (value === null) {
			close();
			last = null;
			continue;
		}
		const at = x(sample.time).toFixed(1);
		const point = `${at} ${(100 * (1 - Math.min(value / top, 1))).toFixed(2)}`;
		if (last && sample.time - last.time < HOLE_MS) {
			pieces.push(`L${point}`);
		} else {
			close();
			pieces.push(closed ? `M${at} 100L${point}` : `M${point}h.1`);
		}
		last = sample;
	}
	close();
	return pieces;
}

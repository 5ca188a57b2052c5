// The data are scripts that call jobyardData, because a page that was opened from a folder can load nothing else.

const received = new Map();
const loading = new Map();

globalThis.jobyardData = (value) => received.set(key(value.kind, value.team ?? value.day), value);

const key = (kind, name) => (kind === "summary" ? kind : `${kind} ${name}`);

export class MissingDataError extends Error {}

export function summary() {
  return received.get("summary");
}

export function loadDay(day) {
  const { latest, day: newest } = summary();
  return day === newest ? Promise.resolve(latest) : load("day", day, `data/days/${day}.js`);
}

export function loadTeam(team) {
  const { team: names, file } = summary().teams;
  const position = names.indexOf(team);
  if (position < 0) return Promise.resolve(null);
  return load("team", team, `data/teams/${file[position]}`);
}

function load(kind, name, path) {
  const wanted = key(kind, name);
  if (!loading.has(wanted))
    loading.set(
      wanted,
      run(path).then(() => received.get(wanted)),
    );
  return loading.get(wanted);
}

function run(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = resolve;
    script.onerror = () => reject(new MissingDataError(path));
    document.head.append(script);
  });
}

// A table by columns as objects, one a row.
export function rows(columns) {
  const names = Object.keys(columns ?? {});
  const length = names.length ? columns[names[0]].length : 0;
  return Array.from({ length }, (_, index) => Object.fromEntries(names.map((name) => [name, columns[name][index]])));
}

let jobs;

// The summary's jobs, in the order to which other tables refer by position; jobs that others wait for and that no team
// has released follow them.
export function allJobs() {
  jobs ??= [...released(), ...summary().jobs.unknown.map((job) => ({ job, team: null, unknown: true, after: [] }))];
  return jobs;
}

function released() {
  const { unknown, ...columns } = summary().jobs;
  const { team: names } = summary().teams;
  return rows(columns).map((job, position) => ({ ...job, position, team: names[job.team] }));
}

// third-party.mjs: on stdout, the licences and notices of all that is built into the program: the crates that it links and
// the packages whose code is in the page. Run after the build, in the source's top folder; asks no network.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const PROGRAM = 'ahoy';
const NOTICE = /^(licen[cs]e|copying|notice|copyright|unlicense)/i;
const RULE = '-'.repeat(80);

/** Crates that the program links, by Cargo's own resolution for this machine: not what only builds or tests it. */
function crates() {
  const host = /^host: (.*)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1];
  const options = ['metadata', '--format-version=1', '--locked', '--offline', `--filter-platform=${host}`];
  const metadata = JSON.parse(execFileSync('cargo', options, { encoding: 'utf8', maxBuffer: 1 << 28 }));
  const packages = new Map(metadata.packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
  const linked = new Set();
  const todo = metadata.packages.filter(({ name, source }) => name === PROGRAM && source === null).map(({ id }) => id);
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (linked.has(id)) continue;
    linked.add(id);
    const normal = nodes.get(id).deps.filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null));
    todo.push(...normal.map(({ pkg }) => pkg));
  }
  return [...linked]
    .map((id) => packages.get(id))
    .filter(({ source }) => source !== null)
    .map(({ name, version, license, manifest_path }) => ({ name, version, license, folder: dirname(manifest_path) }));
}

/** Packages in the page: what it depends on, and the framework, which is compiled into it. */
function pagePackages() {
  const lock = JSON.parse(readFileSync('ui/package-lock.json', 'utf8')).packages;
  return Object.entries(lock)
    .filter(([path, { dev }]) => path === 'node_modules/svelte' || (path.startsWith('node_modules/') && !dev))
    .map(([path, { version, license }]) => {
      const name = path.slice('node_modules/'.length);
      return { name, version, license, folder: join('ui', path) };
    });
}

function notices(folder) {
  const files = readdirSync(folder, { withFileTypes: true }).filter((file) => file.isFile() && NOTICE.test(file.name));
  return files.map(({ name }) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim());
}

const parts = [...crates(), ...pagePackages()].sort((a, b) => a.name.localeCompare(b.name, 'en'));
const holders = new Map();
for (const { name, version, folder } of parts) {
  for (const text of notices(folder)) {
    holders.set(text, [...(holders.get(text) ?? []), `${name} ${version}`]);
  }
}
const out = ['Ahoy contains these works of others, each under its licence:', ''];
out.push(...parts.map(({ name, version, license }) => `  ${name} ${version}: ${license ?? 'see its notice below'}`));
for (const [text, names] of holders) {
  out.push('', RULE, [...new Set(names)].join(', '), RULE, '', text);
}
process.stdout.write(`${out.join('\n')}\n`);

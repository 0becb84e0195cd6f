// Prisma's own schema engine (WASM), for writing and checking migrations: no command of the CLI reaches it without a download.
//   node prisma/schema-engine.mjs sql postgresql://…      SQL from nothing to schema.prisma (any reachable database will do)
//   node prisma/schema-engine.mjs drift postgresql://…    SQL from that database to schema.prisma
//   node prisma/schema-engine.mjs history postgresql://…  what `prisma migrate` thinks of that database; applies what is missing
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';

const require = createRequire(import.meta.url);
const CHAR_OID = 18;
const BPCHAR_OID = 1042;
const FILTERS = { externalTables: [], externalEnums: [] };

const folder = fileURLToPath(new URL('.', import.meta.url));
const schemaPath = path.join(folder, 'schema.prisma');
const files = [{ path: schemaPath, content: readFileSync(schemaPath, 'utf8') }];

async function loadEngine(url) {
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message() {} };
  const home = path.dirname(require.resolve('@prisma/schema-engine-wasm'));
  const bg = await import(pathToFileURL(path.join(home, 'schema_engine_bg.js')).href);
  const { instance } = await WebAssembly.instantiate(readFileSync(path.join(home, 'schema_engine_bg.wasm')), { './schema_engine_bg.js': bg });
  bg.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bg.SchemaEngine.new({ datamodels: files.map((file) => [file.path, file.content]) }, () => undefined, adapterFactory(url));
}

function adapterFactory(url) {
  const { hostname: host, port, username: user, password, pathname } = new URL(url);
  const factory = new PrismaPg({ host, port: Number(port || 5432), user, password: decodeURIComponent(password), database: pathname.slice(1) });
  const connect = factory.connect.bind(factory);
  factory.connect = async () => acceptCharColumns(await connect());
  const shadow = factory.connectToShadowDb.bind(factory);
  factory.connectToShadowDb = async () => acceptCharColumns(await shadow());
  return bindMigrationAwareSqlAdapterFactory(factory);
}

/** adapter-pg 7.10 refuses PostgreSQL's type "char", which introspection reads. */
function acceptCharColumns(queryable) {
  const performIO = queryable.performIO.bind(queryable);
  const queryRaw = queryable.queryRaw.bind(queryable);
  const chars = new Set();
  queryable.performIO = async (query) => {
    const result = await performIO(query);
    result.fields.forEach((field, index) => {
      if (field.dataTypeID !== CHAR_OID) return;
      field.dataTypeID = BPCHAR_OID;
      chars.add(index);
    });
    return result;
  };
  queryable.queryRaw = async (query) => {
    chars.clear();
    const result = await queryRaw(query);
    for (const index of chars) result.columnTypes[index] = ColumnTypeEnum.Character;
    return result;
  };
  return queryable;
}

async function diff(from, url) {
  const engine = await loadEngine(url);
  const to = { tag: 'schemaDatamodel', files };
  const { stdout } = await engine.diff({ from, to, script: true, exitCode: true, filters: FILTERS });
  return stdout ?? '';
}

function migrationsList() {
  const baseDir = path.join(folder, 'migrations');
  const names = readdirSync(baseDir, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).toSorted();
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: readFileSync(path.join(baseDir, 'migration_lock.toml'), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: names.map((name) => ({
      path: name,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: readFileSync(path.join(baseDir, name, 'migration.sql'), 'utf8') } },
    })),
  };
}

async function history(url) {
  const engine = await loadEngine(url);
  const found = await engine.diagnoseMigrationHistory({ migrationsList: migrationsList(), optInToShadowDatabase: false, filters: FILTERS });
  const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList: migrationsList(), filters: FILTERS });
  return JSON.stringify({ ...found, appliedNow: appliedMigrationNames });
}

const commands = {
  sql: (url) => diff({ tag: 'empty' }, url),
  drift: (url) => diff({ tag: 'schemaDatasource', files, configDir: folder }, url),
  history,
};
const [name, url] = process.argv.slice(2);
const command = commands[name];
if (command === undefined || url === undefined) throw new Error('Usage: schema-engine.mjs sql|drift|history postgresql://…');
// The engine's pool would keep the process up for another ten seconds.
process.stdout.write(await command(url), () => process.exit(0));

// Prisma's own schema engine (WASM), for writing and checking migrations: no command of the CLI reaches it without a download.
//   node prisma/schema-engine.mjs sql                     SQL from nothing to schema.prisma
//   node prisma/schema-engine.mjs drift postgresql://…    SQL from that database to schema.prisma; empty when they agree
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';

const require = createRequire(import.meta.url);
const CHAR_OID = 18;
const BPCHAR_OID = 1042;

async function loadEngine() {
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message() {} };
  const folder = path.dirname(require.resolve('@prisma/schema-engine-wasm'));
  const bg = await import(pathToFileURL(path.join(folder, 'schema_engine_bg.js')).href);
  const bytes = readFileSync(path.join(folder, 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': bg });
  bg.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bg;
}

/** adapter-pg refuses PostgreSQL's type "char", which introspection reads. */
function acceptCharColumns(queryable) {
  const performIO = queryable.performIO.bind(queryable);
  queryable.performIO = async (query) => {
    const result = await performIO(query);
    for (const field of result.fields ?? []) if (field.dataTypeID === CHAR_OID) field.dataTypeID = BPCHAR_OID;
    return result;
  };
  return queryable;
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

export async function diffFrom(from, url) {
  const bg = await loadEngine();
  const schema = fileURLToPath(new URL('schema.prisma', import.meta.url));
  const files = [{ path: schema, content: readFileSync(schema, 'utf8') }];
  const engine = await bg.SchemaEngine.new({ datamodels: files.map((file) => [file.path, file.content]) }, () => undefined, adapterFactory(url));
  const result = await engine.diff({
    from, to: { tag: 'schemaDatamodel', files, configDir: fileURLToPath(new URL('.', import.meta.url)) },
    script: true, exitCode: true, filters: { externalTables: [], externalEnums: [] },
  });
  return result.stdout ?? '';
}

const dir = fileURLToPath(new URL('.', import.meta.url));
const schemaFile = path.join(dir, 'schema.prisma');
const fromDatabase = { tag: 'schemaDatasource', files: [{ path: schemaFile, content: readFileSync(schemaFile, 'utf8') }], configDir: dir };
const [command, url = 'postgresql://localhost:5432/none'] = process.argv.slice(2);
if (command === 'sql') process.stdout.write(await diffFrom({ tag: 'empty' }, url));
if (command === 'drift') process.stdout.write(await diffFrom(fromDatabase, url));

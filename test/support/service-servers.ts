/** What a service under test stands on: the run's shared servers with a database and a namespace of its own, or servers of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { type EmbeddedPostgres, startPostgres } from '../../src/embedded/postgres.js';
import { type EmbeddedTemporal, startTemporal } from '../../src/embedded/temporal.js';
import { createEmptyDatabase } from './postgres.js';
import { testTemporal } from './temporal.js';

export interface Servers {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
  readonly namespace: string;
  /** Only with servers of its own. */
  readonly own?: OwnServers;
  stop(): Promise<void>;
}

/** Task queue names are fixed, so a namespace is what keeps two services apart. The gateway migrates the database itself. */
export async function sharedServers(): Promise<Servers> {
  const [database, { address }] = await Promise.all([createEmptyDatabase(), testTemporal()]);
  const namespace = `ns-${randomBytes(5).toString('hex')}`;
  await registerNamespace(address, namespace);
  return { databaseUrl: database.url, temporalAddress: address, namespace, stop: () => database.drop() };
}

/** Servers of its own, durable as in production, under fixed ports so that they can come back. */
export async function ownServers(dynamicConfig: { readonly [key: string]: string | number }): Promise<Servers> {
  const own = new OwnServers(dynamicConfig);
  await own.start();
  return { databaseUrl: own.databaseUrl, temporalAddress: own.temporalAddress, namespace: 'default', own, stop: () => own.stop() };
}

export class OwnServers {
  private readonly folder = mkdtempSync(join(tmpdir(), 'sbx-servers-'));
  private postgres: EmbeddedPostgres | undefined;
  private temporal: EmbeddedTemporal | undefined;
  private ports = { postgres: [] as number[], temporal: [] as number[] };

  constructor(private readonly dynamicConfig: { readonly [key: string]: string | number }) {}

  async start(): Promise<void> {
    await Promise.all([this.startPostgres(), this.startTemporal()]);
  }

  get databaseUrl(): string {
    return this.running('postgres').url;
  }

  get temporalAddress(): string {
    return this.running('temporal').address;
  }

  async startPostgres(): Promise<void> {
    this.postgres = await startPostgres({ dir: join(this.folder, 'postgres'), preferredPorts: this.ports.postgres });
    this.ports.postgres = [this.postgres.port];
  }

  async startTemporal(): Promise<void> {
    this.temporal = await startTemporal({
      dir: join(this.folder, 'temporal'),
      ui: false,
      preferredPorts: this.ports.temporal,
      dynamicConfig: this.dynamicConfig,
    });
    this.ports.temporal = [Number(this.temporal.address.split(':').at(-1))];
  }

  /** SIGKILL; it stays away until started again. */
  async killPostgres(): Promise<void> {
    const server = this.running('postgres');
    server.kill();
    await server.stop();
  }

  async killTemporal(): Promise<void> {
    const server = this.running('temporal');
    server.kill();
    await server.stop();
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.postgres?.stop(), this.temporal?.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private running(name: 'postgres'): EmbeddedPostgres;
  private running(name: 'temporal'): EmbeddedTemporal;
  private running(name: 'postgres' | 'temporal'): EmbeddedPostgres | EmbeddedTemporal {
    const server = this[name];
    if (server === undefined) throw new Error(`${name} of this test has not been started`);
    return server;
  }
}

async function registerNamespace(address: string, namespace: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds: 86_400 as never } });
  } finally {
    await connection.close();
  }
}

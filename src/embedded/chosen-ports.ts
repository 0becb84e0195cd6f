/** The ports of the last start, tried first by the next: what still points at a server finds it again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const PortsSchema = z.object({ postgres: z.number(), temporal: z.number(), temporalUi: z.number() }).partial();
export type ChosenPorts = z.infer<typeof PortsSchema>;

export function readPorts(dataDir: string): ChosenPorts {
  try {
    return PortsSchema.parse(JSON.parse(readFileSync(fileIn(dataDir), 'utf8')));
  } catch {
    return {}; // the first start, or a file somebody broke: any free port will do
  }
}

export const writePorts = (dataDir: string, ports: ChosenPorts): void => writeFileSync(fileIn(dataDir), `${JSON.stringify(ports)}\n`);

const fileIn = (dataDir: string): string => join(dataDir, 'ports.json');

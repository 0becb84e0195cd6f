/** Workspaces on a real disk, whose runs are whatever the test says. */
import { Workspaces, type WorkspaceOrigin, type WorkspaceParts } from '../../../src/tools/workspace/workspaces.js';

export const aWorkspaces = (dataDir: string, overrides: Partial<WorkspaceParts> = {}): Workspaces =>
  new Workspaces({
    dataDir,
    originOf: async (): Promise<WorkspaceOrigin | undefined> => undefined,
    statesOf: async () => new Map(),
    checkOut: () => Promise.reject(new Error('no checkout in this test')),
    ...overrides,
  });

export const emptyWorkspace = (dataDir: string, id: string): Promise<string> => aWorkspaces(dataDir).open(id, new AbortController().signal);
